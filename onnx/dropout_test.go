package onnx_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"metalora/onnx"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
	"metalora/pipeline/rng"
)

// TestDrop runs a site: elements are dropped, and the model says at which rate its masks are to be drawn.
func TestDrop(t *testing.T) {
	g := &onnx.Graph{Name: "dropout"}
	b, m := onnx.NewBuilder(g), onnx.NewModel(g)
	x := b.Input("x", onnx.Float, 2, 2)
	y := m.Drop(b, x, "here", 0.2, 2, 2)
	z := m.Dropout(b, x, "there", 0.2, 2, 2)
	b.Output(y, onnx.Float, 2, 2)
	b.Output(z, onnx.Float, 2, 2)
	if got := onnx.DropoutRate(m, "dropout::here"); got != 0.2 {
		t.Errorf("rate %v, want 0.2", got)
	}
	if got := onnx.DropoutRate(m, "x"); got != 0 {
		t.Errorf("x has the rate %v, want 0", got)
	}
	session, err := ort.OpenModel(m, ort.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	shape, dropped, scaled := []int{2, 2}, make([]float32, 4), make([]float32, 4)
	mask := orttest.Tensor(t, shape, []bool{true, true, false, true})
	feeds := map[string]*ort.Tensor{"x": orttest.Tensor(t, shape, []float32{4, -8, 12, 0}), "dropout::here": mask, "dropout::there": mask}
	if err := session.Run(feeds, map[string]*ort.Tensor{y: orttest.Tensor(t, shape, dropped), z: orttest.Tensor(t, shape, scaled)}); err != nil {
		t.Fatal(err)
	}
	if want := []float32{4, -8, 0, 0}; !slices.Equal(want, dropped) {
		t.Errorf("dropped %v, want %v", dropped, want)
	}
	if want := []float32{5, -10, 0, 0}; !slices.Equal(want, scaled) {
		t.Errorf("with the factor %v, want %v", scaled, want)
	}
}

// forms are the ways of applying a mask that are in question. Each returns drop(x) and the gradient drop(dy), as
// autodiff would write it.
var forms = []struct {
	name string
	mask onnx.DType
	make func(b *onnx.Builder, x, dy, mask string, c string) (y, dx string)
}{
	{"Mul(x, Cast(bool)) twice", onnx.Bool, func(b *onnx.Builder, x, dy, mask, c string) (string, string) {
		cast := func(v string, to onnx.DType) string { return b.Op("Cast", []string{v}, onnx.IntAttr("to", int64(to))) }
		return b.Op("Mul", []string{x, cast(mask, onnx.Float)}), b.Op("Mul", []string{dy, cast(cast(mask, onnx.Uint8), onnx.Float)})
	}},
	{"Mul(x, Cast(bool)*c)", onnx.Bool, func(b *onnx.Builder, x, dy, mask, c string) (string, string) {
		f := b.Op("Mul", []string{b.Op("Cast", []string{mask}, onnx.IntAttr("to", int64(onnx.Float))), c})
		return b.Op("Mul", []string{x, f}), b.Op("Mul", []string{dy, f})
	}},
	{"Mul(x, Cast(uint8)*c)", onnx.Uint8, func(b *onnx.Builder, x, dy, mask, c string) (string, string) {
		f := b.Op("Mul", []string{b.Op("Cast", []string{mask}, onnx.IntAttr("to", int64(onnx.Float))), c})
		return b.Op("Mul", []string{x, f}), b.Op("Mul", []string{dy, f})
	}},
	{"Mul(x, DequantizeLinear(uint8, c))", onnx.Uint8, func(b *onnx.Builder, x, dy, mask, c string) (string, string) {
		f := b.Op("DequantizeLinear", []string{mask, c})
		return b.Op("Mul", []string{x, f}), b.Op("Mul", []string{dy, f})
	}},
	{"Mul(x, DequantizeLinear) twice", onnx.Uint8, func(b *onnx.Builder, x, dy, mask, c string) (string, string) {
		again := b.Op("Identity", []string{mask})
		return b.Op("Mul", []string{x, b.Op("DequantizeLinear", []string{mask, c})}),
			b.Op("Mul", []string{dy, b.Op("DequantizeLinear", []string{again, c})})
	}},
	{"Where(bool, x*c, 0)", onnx.Bool, func(b *onnx.Builder, x, dy, mask, c string) (string, string) {
		zero := b.Scalar(0)
		return b.Op("Where", []string{mask, b.Op("Mul", []string{x, c}), zero}),
			b.Op("Mul", []string{b.Op("Where", []string{mask, dy, zero}), c})
	}},
	{"Where(bool, x, 0)", onnx.Bool, func(b *onnx.Builder, x, dy, mask, c string) (string, string) {
		zero := b.Scalar(0)
		return b.Op("Where", []string{mask, x, zero}), b.Op("Where", []string{mask, dy, zero})
	}},
	{"Mul(x, float)", onnx.Float, func(b *onnx.Builder, x, dy, mask, c string) (string, string) {
		return b.Op("Mul", []string{x, mask}), b.Op("Mul", []string{dy, mask})
	}},
	{"one Mul each by a scalar", onnx.Bool, func(b *onnx.Builder, x, dy, mask, c string) (string, string) {
		return b.Op("Mul", []string{x, c}), b.Op("Mul", []string{dy, c})
	}},
}

// BenchmarkDropout times the forms, forward and backward, on activations of a base-size turn. Compare them with the
// last line, two bare multiplications, of the same run.
func BenchmarkDropout(b *testing.B) {
	for _, width := range []int{768, 3072} {
		for _, form := range forms {
			b.Run(fmt.Sprintf("%d/%s", width, form.name), func(b *testing.B) {
				g := &onnx.Graph{Name: "dropout"}
				build := onnx.NewBuilder(g)
				x := build.Input("x", onnx.Float, 2000, width)
				dy := build.Input("dy", onnx.Float, 2000, width)
				mask := build.Input("mask", form.mask, 2000, width)
				y, dx := form.make(build, x, dy, mask, build.Scalar(1/0.9))
				build.Output(y, onnx.Float, 2000, width)
				build.Output(dx, onnx.Float, 2000, width)
				benchmark(b, onnx.NewModel(g), form.mask, y, dx, width)
			})
		}
	}
}

func benchmark(b *testing.B, m *onnx.Model, kind onnx.DType, y, dx string, width int) {
	n := 2000 * width
	shape := []int{2000, width}
	session, err := ort.OpenModel(m, ort.Options{Threads: 2})
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	s := rng.New(1, "dropout")
	bools, bytes, floats := make([]bool, n), make([]uint8, n), make([]float32, n)
	for i := range bools {
		if s.Float64() < 0.9 {
			bools[i], bytes[i], floats[i] = true, 1, 1/0.9
		}
	}
	masks := map[onnx.DType]*ort.Tensor{onnx.Bool: orttest.Tensor(b, shape, bools), onnx.Uint8: orttest.Tensor(b, shape, bytes), onnx.Float: orttest.Tensor(b, shape, floats)}
	feeds := map[string]*ort.Tensor{"x": orttest.Tensor(b, shape, make([]float32, n)), "dy": orttest.Tensor(b, shape, make([]float32, n))}
	for _, v := range session.Inputs() {
		if v.Name == "mask" {
			feeds["mask"] = masks[kind]
		}
	}
	fetches := map[string]*ort.Tensor{y: orttest.Tensor(b, shape, make([]float32, n)), dx: orttest.Tensor(b, shape, make([]float32, n))}
	best := time.Duration(math.MaxInt64) // a busy machine spoils the mean of a run but seldom all of it
	for b.Loop() {
		start := time.Now()
		if err := session.Run(feeds, fetches); err != nil {
			b.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	b.ReportMetric(float64(best.Microseconds()), "best-µs")
}
