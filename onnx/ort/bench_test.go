package ort

import (
	"fmt"
	"testing"

	"metalora/onnx"
)

// BenchmarkMatMul measures the engine's own speed: the yardstick that every other rate is a share of. The first size
// is a feed-forward layer of roberta-base over 16 rows of 128 tokens.
func BenchmarkMatMul(b *testing.B) {
	for _, c := range []struct{ m, k, n int }{{2048, 768, 3072}, {2048, 768, 768}, {512, 512, 512}} {
		b.Run(fmt.Sprintf("%dx%dx%d", c.m, c.k, c.n), func(b *testing.B) { benchMatMul(b, c.m, c.k, c.n) })
	}
}

func benchMatMul(b *testing.B, m, k, n int) {
	g := onnx.NewBuilder(&onnx.Graph{Name: "matmul"})
	g.Named("y", "MatMul", []string{g.Input("x", onnx.Float, m, k), g.Input("w", onnx.Float, k, n)})
	g.Output("y", onnx.Float, m, n)
	s, err := OpenModel(onnx.NewModel(g.Graph), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	tensors := map[string]*Tensor{}
	for name, shape := range map[string][]int{"x": {m, k}, "w": {k, n}, "y": {m, n}} {
		if tensors[name], err = NewTensor(shape, filled(shape[0]*shape[1], 0.5)); err != nil {
			b.Fatal(err)
		}
		defer tensors[name].Close()
	}
	feeds, fetches := map[string]*Tensor{"x": tensors["x"], "w": tensors["w"]}, map[string]*Tensor{"y": tensors["y"]}
	for b.Loop() {
		if err := s.Run(feeds, fetches); err != nil {
			b.Fatal(err)
		}
	}
	flop := 2 * float64(m) * float64(k) * float64(n)
	b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
