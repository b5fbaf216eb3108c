package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
)

// gemm is one product of ours, Y = addend + alpha · op(A⊙maskA)·op(B⊙maskB) [m, n], and whether its inputs that may be absent
// are there.
type gemm struct {
	m, n, k              int
	transA, transB       int
	alpha                float32
	addend, maskA, maskB bool
}

// gemmInputs are the inputs of the operator that these tests give, by their places.
var gemmInputs = map[int]string{0: kernels.Into("y"), 1: "a", 2: "b", 4: "maskA", 5: "maskB"}

// model is the product alone, with the inputs that it is fed.
func (g gemm) model(in map[string]*ort.Tensor) *onnx.Model {
	graph := &onnx.Graph{Name: "product", Outputs: []onnx.ValueInfo{{Name: "y", Type: onnx.Float}}}
	inputs := make([]string, 10)
	for place, name := range gemmInputs {
		if in[name] == nil {
			continue
		}
		inputs[place] = name
		info := onnx.ValueInfo{Name: name, Type: onnx.Float}
		if name == "maskA" || name == "maskB" {
			info.Type = onnx.Bool
		}
		graph.Inputs = append(graph.Inputs, info)
	}
	graph.Nodes = []*onnx.Node{{Domain: kernels.Domain, Op: "Gemm", Inputs: inputs, Outputs: []string{"y"}, Attrs: []onnx.Attr{
		onnx.IntAttr("transA", int64(g.transA)), onnx.IntAttr("transB", int64(g.transB)), onnx.FloatAttr("alpha", g.alpha),
		onnx.IntAttr("transB2", 0), onnx.FloatAttr("alpha2", 1)}}}
	m := onnx.NewModel(graph)
	m.Opsets[kernels.Domain] = 1
	return m
}

// draw fills the inputs. Masks drop one element of ten.
func (g gemm) draw(r *rand.Rand, t *testing.T) map[string]*ort.Tensor {
	t.Helper()
	a, b := swapIf(int64(g.transA), g.m, g.k), swapIf(int64(g.transB), g.k, g.n)
	in := map[string]*ort.Tensor{"a": draw(r, t, a...), "b": draw(r, t, b...)}
	mask := func(name string, shape []int) {
		bits := make([]bool, elements(shape))
		for i := range bits {
			bits[i] = r.IntN(10) > 0
		}
		in[name] = orttest.Tensor(t, shape, bits)
	}
	if g.maskA {
		mask("maskA", a)
	}
	if g.maskB {
		mask("maskB", b)
	}
	if g.addend {
		in[kernels.Into("y")] = draw(r, t, g.m, g.n)
	}
	return in
}

// factor is an input as [rows, cols] in float64, its mask applied.
func factor(in map[string]*ort.Tensor, name, mask string, trans, rows, cols int) []float64 {
	x, all := ort.Data[float32](in[name]), make([]float64, rows*cols)
	for i := range rows {
		for j := range cols {
			at := i*cols + j
			if trans != 0 {
				at = j*rows + i
			}
			if in[mask] == nil || ort.Data[bool](in[mask])[at] {
				all[i*cols+j] = float64(x[at])
			}
		}
	}
	return all
}

// exact is the product in float64, and what an element's terms amount to, signs aside.
func (g gemm) exact(in map[string]*ort.Tensor) (y, size []float64) {
	a, b := factor(in, "a", "maskA", g.transA, g.m, g.k), factor(in, "b", "maskB", g.transB, g.k, g.n)
	y, size = make([]float64, g.m*g.n), make([]float64, g.m*g.n)
	for i := range g.m {
		for l := range g.k {
			for j := range g.n {
				term := float64(g.alpha) * a[i*g.k+l] * b[l*g.n+j]
				y[i*g.n+j] += term
				size[i*g.n+j] += math.Abs(term)
			}
		}
	}
	if g.addend {
		for i, x := range ort.Data[float32](in[kernels.Into("y")]) {
			y[i] += float64(x)
			size[i] += math.Abs(float64(x))
		}
	}
	return y, size
}

// run is the product on so many threads. Where there is an addend it is added to in place.
func (g gemm) run(t *testing.T, in map[string]*ort.Tensor, threads int) []float32 {
	t.Helper()
	fed, fetches := map[string]*ort.Tensor{}, map[string]*ort.Tensor{"y": nil}
	for name, x := range in {
		fed[name] = x
	}
	if g.addend {
		fed[kernels.Into("y")] = orttest.Tensor(t, []int{g.m, g.n}, append([]float32{}, ort.Data[float32](in[kernels.Into("y")])...))
		fetches["y"] = fed[kernels.Into("y")]
	}
	s, err := ort.OpenModel(g.model(in), ort.Options{Threads: threads, Kernels: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Run(fed, fetches); err != nil {
		t.Fatal(err)
	}
	if !g.addend {
		defer fetches["y"].Close()
	}
	return append([]float32{}, ort.Data[float32](fetches["y"])...)
}

// compare fails unless all elements are within a few roundings of what their terms amount to, and the same on one thread and
// on several.
func (g gemm) compare(t *testing.T, in map[string]*ort.Tensor, roundings float64) {
	t.Helper()
	want, size := g.exact(in)
	got := g.run(t, in, 2)
	if len(got) != len(want) {
		t.Fatalf("%d elements, want %d", len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i]) <= roundings*0x1p-24*size[i]+1e-30) {
			t.Fatalf("element %d is %g, want %g: off by %.1f roundings of its terms' sum, %g", i, got[i], want[i],
				math.Abs(float64(got[i])-want[i])/size[i]*0x1p24, size[i])
		}
	}
	near(t, g.run(t, in, 1), got, 0)
	near(t, g.run(t, in, 3), got, 0)
}

// TestThin compares products with a short side, which have kernels of their own, with products in float64: each way that
// factors can lie, any inputs absent, sides around the sizes of vectors, groups and blocks.
func TestThin(t *testing.T) {
	skipWithout(t)
	defer kernels.LimitLanes(16)
	r := rand.New(rand.NewPCG(21, 22))
	short, odd := []int{1, 2, 4, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65}, []int{1, 7, 8, 9, 47, 48, 49, 63, 64, 65, 383, 385, 769, 1537, 1585, 3073}
	for _, lanes := range []int{16, 8, 4} {
		kernels.LimitLanes(lanes)
		for i := range 8 * len(short) {
			g := gemm{m: short[i/8], n: pick(r, odd...), k: pick(r, odd...), transA: i & 1, transB: i >> 1 & 1, alpha: pick[float32](r, 1, -0.25), addend: r.IntN(2) == 0,
				maskA: r.IntN(3) == 0, maskB: r.IntN(3) == 0}
			if i&4 != 0 {
				g.m, g.n = g.n, g.m
			}
			t.Run(fmt.Sprintf("%d lanes, %+v", lanes, g), func(t *testing.T) { g.compare(t, g.draw(r, t), 8) })
		}
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// TestThinLong: sums of many terms whose roundings all go one way stay near, and so do those of many rows.
func TestThinLong(t *testing.T) {
	skipWithout(t)
	defer kernels.LimitLanes(16)
	for _, lanes := range []int{16, 8, 4} {
		kernels.LimitLanes(lanes)
		for i := range 8 {
			g := gemm{m: 8, n: 3, k: 50000, transA: i & 1, transB: i >> 1 & 1, alpha: 1}
			if i&4 != 0 {
				g.m, g.n = 3, 8
			}
			t.Run(fmt.Sprintf("%d lanes, %+v", lanes, g), func(t *testing.T) {
				in := g.draw(rand.New(rand.NewPCG(23, 24)), t)
				for _, name := range []string{"a", "b"} {
					x := ort.Data[float32](in[name])
					for i := range x {
						x[i] = 0.1
					}
				}
				g.compare(t, in, 60)
			})
		}
	}
}

// TestThinNotANumber: what is not a number stays so under a mask, as in the engine's products, and spoils nothing beside it.
func TestThinNotANumber(t *testing.T) {
	skipWithout(t)
	r := rand.New(rand.NewPCG(25, 26))
	for _, g := range []gemm{{m: 60, n: 5, k: 37, transB: 1, alpha: 1, maskA: true}, {m: 5, n: 60, k: 37, transA: 1, alpha: 1, maskB: true}} {
		in := g.draw(r, t)
		name, mask, at := "a", "maskA", 7*g.k+3 // row 7 of y
		if g.maskB {
			name, mask, at = "b", "maskB", 3*g.n+7 // column 7
		}
		ort.Data[float32](in[name])[at] = float32(math.NaN())
		ort.Data[bool](in[mask])[at] = false
		for i, y := range g.run(t, in, 2) {
			here := i/g.n == 7 && g.maskA || i%g.n == 7 && g.maskB
			if math.IsNaN(float64(y)) != here {
				t.Errorf("%+v: element %d is %g", g, i, y)
			}
		}
	}
}
