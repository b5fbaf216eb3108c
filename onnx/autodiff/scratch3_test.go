package autodiff

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"metalora/onnx"
	"metalora/onnx/ort"
)

func TestScratchMicro(t *testing.T) {
	type variant struct {
		name  string
		build func(b *builder, x, dy, mask, s string) string
	}
	run := func(title string, T, H int, vs []variant) {
		var ss []*ort.Session
		var feeds []map[string]*ort.Tensor
		var best []float64
		r := rand.New(rand.NewPCG(1, 1))
		xs, ds, ms, sc := make([]float32, T*H), make([]float32, T*H), make([]uint8, T*H), make([]float32, H)
		for i := range xs {
			xs[i], ds[i] = float32(r.NormFloat64()), float32(r.NormFloat64())
			if r.Float64() > 0.1 {
				ms[i] = 1
			}
		}
		for i := range sc {
			sc[i] = 1
		}
		for _, v := range vs {
			m := onnx.NewModel(&onnx.Graph{Name: "t"})
			ob := onnx.NewBuilder(m.Graph)
			ob.Input("x", onnx.Float, T, H)
			ob.Input("dy", onnx.Float, T, H)
			ob.Input("mask", onnx.Bool, T, H)
			ob.Input("s", onnx.Float, H)
			f, _ := onnx.Analyse(m)
			b := newBuilder(m, f)
			b.dtype = onnx.Float
			y := v.build(b, "x", "dy", "mask", "s")
			b.out.Named("out", "Identity", []string{y})
			b.out.Output("out", onnx.Float, T, H)
			s, err := ort.OpenModel(m, ort.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			ss = append(ss, s)
			fd := map[string]*ort.Tensor{}
			fd["x"], _ = ort.NewTensor([]int{T, H}, xs)
			fd["dy"], _ = ort.NewTensor([]int{T, H}, ds)
			fd["mask"], _ = ort.NewBools([]int{T, H}, ms)
			fd["s"], _ = ort.NewTensor([]int{H}, sc)
			fd["out"], _ = ort.NewTensor([]int{T, H}, make([]float32, T*H))
			feeds = append(feeds, fd)
			best = append(best, 1e9)
		}
		for range 60 {
			for i, s := range ss {
				out := map[string]*ort.Tensor{"out": feeds[i]["out"]}
				in := map[string]*ort.Tensor{}
				for k, v := range feeds[i] {
					if k != "out" {
						in[k] = v
					}
				}
				st := time.Now()
				if err := s.Run(in, out); err != nil {
					t.Fatal(err)
				}
				best[i] = min(best[i], float64(time.Since(st).Microseconds())/1000)
			}
		}
		for i, v := range vs {
			fmt.Printf("%s %-40s %.2f ms\n", title, v.name, best[i])
			ss[i].Close()
		}
	}
	c := 1 / 0.9
	run("dropout", 2048, 768, []variant{
		{"where(mask, dy*c, 0)", func(b *builder, x, dy, mask, s string) string { return b.only(mask, b.times(dy, c)) }},
		{"dy*(cast(mask)*c)", func(b *builder, x, dy, mask, s string) string {
			return b.mul(dy, b.times(b.cast(mask, onnx.Float), c))
		}},
		{"(dy*c)*cast(mask)", func(b *builder, x, dy, mask, s string) string {
			return b.mul(b.times(dy, c), b.cast(mask, onnx.Float))
		}},
		{"dy*where(mask,c,0)", func(b *builder, x, dy, mask, s string) string {
			return b.mul(dy, b.where(mask, b.num(c), b.num(0)))
		}},
		{"dy*x", func(b *builder, x, dy, mask, s string) string { return b.mul(dy, x) }},
	})
	ln := func(b *builder, x string) (mean, r string) {
		o := b.out.Node("", "LayerNormalization", []string{x, "s", "s"}, 3)
		return o[1], o[2]
	}
	_ = ln
	sat := func(b *builder, mask string) string {
		return b.cast(b.cast(mask, onnx.Uint8), onnx.Float)
	}
	deq := func(b *builder, mask string) string {
		u := b.cast(mask, onnx.Uint8)
		return b.op("DequantizeLinear", u, b.num(c))
	}
	two := func(f func(b *builder, mask string) string, g func(b *builder, mask string) string) func(b *builder, x, dy, mask, s string) string {
		return func(b *builder, x, dy, mask, s string) string {
			y := b.mul(x, f(b, mask))
			return b.mul(b.add(y, dy), g(b, mask))
		}
	}
	plain := func(b *builder, mask string) string { return b.times(b.cast(mask, onnx.Float), c) }
	run("fwd+bwd", 2048, 768, []variant{
		{"cast", func(b *builder, x, dy, mask, s string) string { return b.cast(mask, onnx.Float) }},
		{"deq", func(b *builder, x, dy, mask, s string) string { return deq(b, mask) }},
		{"plain (kept)", two(plain, plain)},
		{"plain, sat recomputed", two(plain, func(b *builder, mask string) string { return b.times(sat(b, mask), c) })},
		{"deq kept", two(deq, deq)},
		{"where dy*c", two(plain, func(b *builder, mask string) string { return b.where(mask, b.num(c), b.num(0)) })},
	})
}
