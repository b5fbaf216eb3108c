package kernels_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"metalora/onnx"
	"metalora/onnx/autodiff"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
)

// linear is a linear layer as models and adapters write it: dropout(x Wᵀ + b + s·dropout(x)AᵀBᵀ) + residual.
type linear struct {
	in, out, rank     int // rank 0: no LoRA
	dropout, residual bool
}

// model is the layer with the gradients of all that it reads; z is a weighted sum of its results.
func (l linear) model(t *testing.T) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(&onnx.Graph{Name: "linear"})
	m := onnx.NewModel(b.Graph)
	b.Input("x", onnx.Float, "rows", l.in)
	b.Input("W", onnx.Float, l.out, l.in)
	b.Input("bias", onnx.Float, l.out)
	request := autodiff.Request{Of: "z", Wrt: []string{"x", "W", "bias"}}
	drop := func(x, site string, width int) string {
		if !l.dropout {
			return x
		}
		return m.Drop(b, x, site, 0.1, "rows", width)
	}
	y := b.Op("Gemm", []string{"x", "W"}, onnx.IntAttr("transB", 1), onnx.FloatAttr("alpha", 1.25))
	if l.rank > 0 {
		b.Input("A", onnx.Float, l.rank, l.in)
		b.Input("B", onnx.Float, l.out, l.rank)
		request.Wrt = append(request.Wrt, "A", "B")
		u := b.Op("Gemm", []string{drop("x", "lora", l.in), "A"}, onnx.IntAttr("transB", 1))
		y = b.Op("Add", []string{y, b.Op("Gemm", []string{u, "B"}, onnx.IntAttr("transB", 1), onnx.FloatAttr("alpha", 2))})
	}
	y = drop(b.Op("Add", []string{y, "bias"}), "y", l.out)
	if l.residual {
		y = b.Op("Add", []string{y, b.Input("residual", onnx.Float, "rows", l.out)})
		request.Wrt = append(request.Wrt, "residual")
	}
	b.Input("c", onnx.Float, "rows", l.out)
	sum := b.Op("ReduceSum", []string{b.Op("Mul", []string{b.Op("Mul", []string{y, y}), "c"})}, onnx.IntAttr("keepdims", 0))
	b.Named("z", "Reshape", []string{sum, b.Ints(1)})
	b.Output("z", onnx.Float, 1)
	b.Output(y, onnx.Float, "rows", l.out)
	full, _, err := autodiff.Differentiate(m, request)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

// feed draws all inputs of a model.
func (l linear) feed(r *rand.Rand, t *testing.T, m *onnx.Model, rows int) map[string]*ort.Tensor {
	t.Helper()
	all := map[string]*ort.Tensor{}
	for _, v := range m.Graph.Inputs {
		shape := []int{}
		for _, d := range v.Shape {
			shape = append(shape, max(int(d.Size), 0))
			if d.Size < 0 {
				shape[len(shape)-1] = rows
			}
		}
		if v.Type == onnx.Float {
			all[v.Name] = draw(r, t, shape...)
			continue
		}
		bits := make([]bool, elements(shape))
		for i := range bits {
			bits[i] = r.IntN(10) > 0
		}
		all[v.Name] = orttest.Tensor(t, shape, bits)
	}
	return all
}

// products counts our Gemms, and what is left of the operators that they stand for.
func products(m *onnx.Model) (gemms, left int) {
	for _, n := range m.Graph.Nodes {
		switch {
		case n.Domain == kernels.Domain && n.Op == "Gemm":
			gemms++
		case n.Op == "Gemm" || n.Op == "Cast":
			left++
		}
	}
	return gemms, left
}

// TestLinear compares linear layers and their gradients with the engine's own operators, for each width of vectors and bit for
// bit between one thread and two, and looks whether all but the products is gone.
func TestLinear(t *testing.T) {
	skipWithout(t)
	defer kernels.LimitLanes(16)
	r := rand.New(rand.NewPCG(7, 8))
	for _, lanes := range []int{16, 8, 4} {
		kernels.LimitLanes(lanes)
		for i := range 24 {
			l := linear{in: 1 + r.IntN(90), out: 1 + r.IntN(90), rank: []int{0, 1, 4, 8, 40}[i%5], dropout: i%2 == 0, residual: i%3 == 0}
			if i >= 20 {
				l.in, l.out = 300+r.IntN(600), 300+r.IntN(900)
			}
			if i >= 22 {
				l.in, l.out = 100, 3400 // more rows of dyᵀ than are packed at once
			}
			rows := 1 + r.IntN([]int{20, 500}[i%2])
			t.Run(fmt.Sprintf("%d lanes, %d rows, %+v", lanes, rows, l), func(t *testing.T) { l.compare(r, t, rows) })
		}
	}
}

func (l linear) compare(r *rand.Rand, t *testing.T, rows int) {
	plain := l.model(t)
	lowered := kernels.Lower(plain)
	want := 3 // y, and the gradients of x and W
	if l.rank > 0 {
		want += 4 // dropout(x)·Aᵀ, its gradient, and those of A and B: all else is part of y and of dx
	}
	if gemms, left := products(lowered); gemms != want || left != 0 {
		t.Errorf("%d products, want %d, and %d operators that ought to be gone", gemms, want, left)
	}
	in := l.feed(r, t, plain, rows)
	expected := outputs(t, plain, opened(t, plain, ort.Options{Threads: 2}), in)
	got := outputs(t, plain, opened(t, lowered, ort.Options{Threads: 2, Kernels: true}), in)
	alone := outputs(t, plain, opened(t, lowered, ort.Options{Threads: 1, Kernels: true}), in)
	delete(expected, "z") // the engine's own sum of millions of either sign: rounding is all that can differ
	for name, values := range expected {
		largest := float32(1)
		for _, v := range values {
			largest = max(largest, v, -v)
		}
		near(t, got[name], values, 2e-6*(4+float64(l.rank))*float64(largest))
		near(t, alone[name], got[name], 0)
	}
}

// TestAccumulate: products add to what lies in the memory that they write, and others stay as they were.
func TestAccumulate(t *testing.T) {
	skipWithout(t)
	r := rand.New(rand.NewPCG(9, 10))
	l := linear{in: 40, out: 24, rank: 4, dropout: true}
	plain := l.model(t)
	lowered := kernels.Lower(plain)
	names := []string{"grad::W", "grad::A", "grad::B", "grad::bias"}
	sums := kernels.Accumulate(lowered, names)
	if fmt.Sprint(sums) != "map[grad::A:true grad::B:true grad::W:true]" {
		t.Fatalf("%v add in place", sums)
	}
	in := l.feed(r, t, plain, 30)
	once := outputs(t, plain, opened(t, plain, ort.Options{Threads: 2}), in)
	session, fetches := opened(t, lowered, ort.Options{Threads: 2, Kernels: true}), map[string]*ort.Tensor{}
	for name := range sums {
		for _, v := range plain.Graph.Outputs {
			if v.Name == name {
				x := draw(r, t, int(v.Shape[0].Size), int(v.Shape[1].Size))
				clear(ort.Data[float32](x))
				in[kernels.Into(name)], fetches[name] = x, x
			}
		}
	}
	for range 3 {
		if err := session.Run(in, fetches); err != nil {
			t.Fatal(err)
		}
	}
	for name := range sums {
		want, largest := once[name], float32(1)
		for i := range want {
			want[i] *= 3
			largest = max(largest, want[i], -want[i])
		}
		near(t, ort.Data[float32](fetches[name]), want, 2e-6*float64(largest))
	}
}
