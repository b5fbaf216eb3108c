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
	run("gelu", 2048, 3072, []variant{
		{"now", func(b *builder, x, dy, mask, s string) string { return b.mul(dy, geluSlope(b, x)) }},
		{"plain", func(b *builder, x, dy, mask, s string) string {
			u := b.times(x, 0.70710678)
			phi := b.add(b.times(b.op("Erf", u), 0.5), b.num(0.5))
			return b.mul(dy, b.add(phi, b.mul(x, b.times(b.exp(b.times(b.square(x), -0.5)), 0.39894228))))
		}},
		{"hs, neg", func(b *builder, x, dy, mask, s string) string {
			u := b.times(x, 0.70710678)
			phi := b.with("HardSigmoid", []value{b.op("Erf", u)}, onnx.FloatAttr("alpha", 0.5), onnx.FloatAttr("beta", 0.5))
			return b.mul(dy, b.add(phi, b.mul(b.times(u, 0.5641896), b.exp(b.neg(b.square(u))))))
		}},
		{"forward gelu", func(b *builder, x, dy, mask, s string) string { return b.op("Gelu", x) }},
		{"erf", func(b *builder, x, dy, mask, s string) string { return b.op("Erf", x) }},
		{"mul", func(b *builder, x, dy, mask, s string) string { return b.mul(x, dy) }},
		{"times", func(b *builder, x, dy, mask, s string) string { return b.times(x, 0.3) }},
		{"hs", func(b *builder, x, dy, mask, s string) string {
			return b.with("HardSigmoid", []value{x}, onnx.FloatAttr("alpha", 0.5), onnx.FloatAttr("beta", 0.5))
		}},
		{"exp", func(b *builder, x, dy, mask, s string) string { return b.exp(x) }},
		{"div", func(b *builder, x, dy, mask, s string) string { return b.div(x, dy) }},
	})
	ln := func(b *builder, x string) (mean, r string) {
		o := b.out.Node("", "LayerNormalization", []string{x, "s", "s"}, 3)
		return o[1], o[2]
	}
	run("layernorm dx", 2048, 768, []variant{
		{"forward only", func(b *builder, x, dy, mask, s string) string {
			return b.op("LayerNormalization", x, s, s)
		}},
		{"now", func(b *builder, x, dy, mask, s string) string {
			mean, r := ln(b, x)
			h := b.mul(b.sub(x, mean), r)
			g := b.mul(dy, s)
			return b.mul(b.sub(b.sub(g, b.meanKeep(g, -1)), b.mul(h, b.meanKeep(b.mul(g, h), -1))), r)
		}},
		{"gemv", func(b *builder, x, dy, mask, s string) string {
			mean, r := ln(b, x)
			h := b.mul(b.sub(x, mean), r)
			col := b.op("Reshape", b.div(s, b.num(768)), b.vec(768, 1))
			m1 := b.matmul(dy, col)
			m2 := b.matmul(b.mul(dy, h), col)
			return b.mul(b.sub(b.sub(b.mul(dy, s), m1), b.mul(h, m2)), r)
		}},
		{"gemv, centred", func(b *builder, x, dy, mask, s string) string {
			mean, r := ln(b, x)
			h := b.sub(x, mean)
			col := b.op("Reshape", b.div(s, b.num(768)), b.vec(768, 1))
			m1 := b.matmul(dy, col)
			m2 := b.mul(b.matmul(b.mul(dy, h), col), b.square(r))
			return b.mul(b.sub(b.sub(b.mul(dy, s), m1), b.mul(h, m2)), r)
		}},
	})
	run("softmax", 16*12*128, 128, []variant{
		{"forward", func(b *builder, x, dy, mask, s string) string { return b.with("Softmax", []value{x}) }},
		{"now", func(b *builder, x, dy, mask, s string) string {
			return b.mul(b.sub(dy, b.sumKeep(b.mul(dy, x), -1)), x)
		}},
		{"matmul sum", func(b *builder, x, dy, mask, s string) string {
			ones := b.filled(1, b.vec(128, 1))
			return b.mul(b.sub(dy, b.matmul(b.mul(dy, x), ones)), x)
		}},
	})
	run("bias", 2048, 3072, []variant{
		{"reducesum", func(b *builder, x, dy, mask, s string) string { return b.add(x, b.sumDrop(dy, 0)) }},
		{"gemm ones", func(b *builder, x, dy, mask, s string) string {
			return b.add(x, b.op("Reshape", b.gemm(b.filled(1, b.vec(1, 2048)), dy, false, false, 1), b.vec(-1)))
		}},
	})
}
