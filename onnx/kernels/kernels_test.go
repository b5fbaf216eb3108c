package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
)

// draw fills a tensor with numbers around zero.
func draw(r *rand.Rand, t testing.TB, shape ...int) *ort.Tensor {
	t.Helper()
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	x, err := ort.NewTensor(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// run opens a model and fetches "y".
func run(t *testing.T, m *onnx.Model, o ort.Options, feeds map[string]*ort.Tensor) ([]int, []float32, error) {
	t.Helper()
	s, err := ort.OpenModel(m, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fetches := map[string]*ort.Tensor{"y": nil}
	if err := s.Run(feeds, fetches); err != nil {
		return nil, nil, err
	}
	defer fetches["y"].Close()
	return fetches["y"].Shape(), append([]float32{}, ort.Data[float32](fetches["y"])...), nil
}

// TestSupportedInCI: every test of kernels skips where there are none, so CI's machine has to have them.
func TestSupportedInCI(t *testing.T) {
	if why := kernels.Missing(); why != "" && os.Getenv("CI") == "true" {
		t.Fatalf("no kernels: %s; their tests would all be skipped", why)
	}
}

func skipWithout(t *testing.T) {
	t.Helper()
	if !kernels.Supported() {
		t.Skip("no kernels on this machine")
	}
}

// product is y = alpha · op(a)·op(b).
func product(transA, transB int64, alpha float32) *onnx.Model {
	b := onnx.NewBuilder(&onnx.Graph{Name: "product"})
	b.Input("a", onnx.Float, "rows", "inner")
	b.Input("b", onnx.Float, "depth", "columns")
	b.Named("y", "Gemm", []string{"a", "b"}, onnx.IntAttr("transA", transA), onnx.IntAttr("transB", transB), onnx.FloatAttr("alpha", alpha))
	b.Output("y", onnx.Float, "m", "n")
	return onnx.NewModel(b.Graph)
}

func swapIf(trans int64, a, b int) []int {
	if trans != 0 {
		return []int{b, a}
	}
	return []int{a, b}
}

// TestGemm compares the operator with the engine's own on random sizes, some of them 0 and 1, and with itself on one thread.
func TestGemm(t *testing.T) {
	skipWithout(t)
	r := rand.New(rand.NewPCG(1, 2))
	for _, trans := range [][2]int64{{0, 0}, {0, 1}, {1, 0}, {1, 1}} {
		for range 40 {
			m, n, k := r.IntN(70), r.IntN(70), r.IntN(70)
			if r.IntN(4) == 0 {
				m, n, k = r.IntN(700), r.IntN(300), r.IntN(900)
			}
			alpha := []float32{1, -0.25}[r.IntN(2)]
			t.Run(fmt.Sprint(trans, m, n, k, alpha), func(t *testing.T) {
				plain := product(trans[0], trans[1], alpha)
				lowered := kernels.Lower(plain)
				if n := lowered.Graph.Nodes[0]; n.Domain != kernels.Domain {
					t.Fatalf("%v was not replaced", n)
				}
				feeds := map[string]*ort.Tensor{"a": draw(r, t, swapIf(trans[0], m, k)...), "b": draw(r, t, swapIf(trans[1], k, n)...)}
				_, want, err := run(t, plain, ort.Options{Threads: 2}, feeds)
				if err != nil {
					t.Fatal(err)
				}
				shape, got, err := run(t, lowered, ort.Options{Threads: 2, Kernels: true}, feeds)
				if err != nil {
					t.Fatal(err)
				}
				if fmt.Sprint(shape) != fmt.Sprint([]int{m, n}) {
					t.Fatalf("shape %v, want [%d %d]", shape, m, n)
				}
				near(t, got, want, 1e-6*float64(k+1))
				_, alone, err := run(t, lowered, ort.Options{Threads: 1, Kernels: true}, feeds)
				if err != nil {
					t.Fatal(err)
				}
				near(t, got, alone, 0)
			})
		}
	}
}

func near(t *testing.T, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d elements, want %d", len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(float64(got[i])-float64(want[i])) <= tolerance) {
			t.Fatalf("element %d is %g, want %g", i, got[i], want[i])
		}
	}
}

// TestGemmRefuses: shapes that do not fit are errors of the operator.
func TestGemmRefuses(t *testing.T) {
	skipWithout(t)
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		a, b []int
		want string
	}{
		{[]int{2, 3}, []int{4, 5}, "metalora.Gemm: [2, 3] x [4, 5]: the dimensions do not fit"},
		{[]int{2, 0}, []int{4, 5}, "do not fit"},
		{[]int{3}, []int{3, 4}, "input 1 has rank 1, want 2"},
		{[]int{2, 3}, nil, "input 2 has rank 0, want 2"},
		{[]int{2, 3}, []int{1, 3, 4}, "input 2 has rank 3, want 2"},
	} {
		t.Run(fmt.Sprint(c.a, c.b), func(t *testing.T) {
			b := onnx.NewBuilder(&onnx.Graph{Name: "anything"})
			b.Graph.Inputs = []onnx.ValueInfo{{Name: "a", Type: onnx.Float}, {Name: "b", Type: onnx.Float}}
			b.Graph.Outputs = []onnx.ValueInfo{{Name: "y", Type: onnx.Float}}
			b.Named("y", "Gemm", []string{"a", "b"})
			feeds := map[string]*ort.Tensor{"a": draw(r, t, c.a...), "b": draw(r, t, c.b...)}
			_, _, err := run(t, kernels.Lower(onnx.NewModel(b.Graph)), ort.Options{Threads: 2, Kernels: true}, feeds)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestStrangers: a model that names the domain itself is left alone by Lower, and a session without kernels refuses it.
func TestStrangers(t *testing.T) {
	skipWithout(t)
	lowered := kernels.Lower(product(0, 0, 1))
	if again := kernels.Lower(lowered); again != lowered {
		t.Error("a model of the domain was lowered again")
	}
	_, err := ort.OpenModel(lowered, ort.Options{})
	t.Log(err)
	if err == nil || !strings.Contains(err.Error(), "metalora") {
		t.Errorf("got %v, want a word on the domain", err)
	}
	hidden := lowered.Clone()
	delete(hidden.Opsets, kernels.Domain)
	hidden.Graph.Nodes = append(hidden.Graph.Nodes, product(0, 0, 1).Graph.Nodes...)
	hidden.Graph.Nodes[1].Outputs = []string{"z"}
	if again := kernels.Lower(hidden); again != hidden {
		t.Error("a model that names the domain in a node alone was lowered")
	}
	lowered.Graph.Nodes[0].Attrs = nil
	_, err = ort.OpenModel(lowered, ort.Options{Kernels: true})
	t.Log(err)
	if err == nil || !strings.Contains(err.Error(), "transA") {
		t.Errorf("got %v, want a word on the missing attribute", err)
	}
	lowered.Graph.Nodes[0].Op = "Nonsense"
	_, err = ort.OpenModel(lowered, ort.Options{Kernels: true})
	t.Log(err)
	if err == nil || !strings.Contains(err.Error(), "Nonsense") {
		t.Errorf("got %v, want a word on the operator", err)
	}
}
