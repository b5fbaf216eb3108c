package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"metalora/onnx"
	"metalora/onnx/autodiff"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
)

// chain is a small graph whose gradients are written in the chains that the operators stand for.
type chain struct {
	name  string
	build func(g *drawing, x string) (z string) // of x [..., n], and of any further inputs
	wrt   []string
	want  map[string]int // operators of ours in the lowered graph
}

var chains = []chain{
	{"norm", norm(1), []string{"x", "weight", "bias"}, map[string]int{"LayerNormalizationGrad": 1}},
	{"norm of a sum", norm(4), []string{"x", "weight", "bias"}, map[string]int{"LayerNormalizationGrad": 1}},
	{"norm of a long sum", norm(12), []string{"x", "weight", "bias"}, map[string]int{"LayerNormalizationGrad": 1}},
	{"frozen norm", norm(2), []string{"x"}, map[string]int{"LayerNormalizationGrad": 1}},
	{"norm with a frozen weight", norm(2), []string{"x", "bias"}, map[string]int{"LayerNormalizationGrad": 1}},
	{"norm with a frozen bias", norm(2), []string{"x", "weight"}, map[string]int{"LayerNormalizationGrad": 1}},
	{"gelu", gelu("none"), []string{"x"}, map[string]int{"Gelu": 1, "GeluGrad": 1}},
	{"biased gelu", gelu("none"), []string{"x", "bias"}, map[string]int{"Gelu": 1, "GeluGrad": 1}},
	{"biased tanh gelu", gelu("tanh"), []string{"x", "bias"}, map[string]int{"Gelu": 1, "GeluGrad": 1}},
	{"bias", biased, []string{"bias"}, map[string]int{"ColumnSum": 1}},
	{"mask", masked(false), []string{"x"}, map[string]int{"Mask": 2}},
	{"biased mask", masked(false), []string{"x", "bias"}, map[string]int{"Mask": 2}},
	{"mask and residual", masked(true), []string{"x", "bias"}, map[string]int{"Mask": 2}},
}

// drawing is a graph under way whose first input is x.
type drawing struct {
	*onnx.Builder
	bare bool // leaves out what only makes the gradients uneven
}

// vector declares an input of x's last dimension.
func (g *drawing) vector(name string) string { return g.Input(name, onnx.Float, "n") }

// like declares an input of x's shape.
func (g *drawing) like(name string, t onnx.DType) string {
	g.Graph.Inputs = append(g.Graph.Inputs, onnx.ValueInfo{Name: name, Type: t, Shape: g.Graph.Inputs[0].Shape})
	return name
}

// weigh multiplies by an input of x's shape, so that the gradient is not the same everywhere.
func (g *drawing) weigh(y, name string) string {
	if g.bare {
		return y
	}
	return g.Op("Mul", []string{y, g.like(name, onnx.Float)})
}

// norm is a norm that is used in several places.
func norm(uses int) func(g *drawing, x string) string {
	return func(g *drawing, x string) string {
		y := g.Op("LayerNormalization", []string{x, g.vector("weight"), g.vector("bias")}, onnx.FloatAttr("epsilon", 1e-5))
		z := g.weigh(y, "c0")
		for i := 1; i < uses; i++ {
			z = g.Op("Add", []string{z, g.weigh(y, fmt.Sprint("c", i))})
		}
		return z
	}
}

func gelu(form string) func(g *drawing, x string) string {
	return func(g *drawing, x string) string {
		sum := g.Op("Add", []string{x, g.vector("bias")})
		return g.weigh(g.Op("Gelu", []string{sum}, onnx.Attr{Name: "approximate", Kind: onnx.KindString, S: form}), "c")
	}
}

func biased(g *drawing, x string) string {
	return g.weigh(g.Op("Add", []string{x, g.vector("bias")}), "c")
}

func masked(residual bool) func(g *drawing, x string) string {
	return func(g *drawing, x string) string {
		bits := g.Op("Cast", []string{g.like("mask", onnx.Bool)}, onnx.IntAttr("to", int64(onnx.Float)))
		y := g.Op("Mul", []string{g.Op("Add", []string{x, g.vector("bias")}), bits})
		if residual {
			y = g.Op("Add", []string{g.like("residual", onnx.Float), y})
		}
		return g.weigh(y, "c")
	}
}

// model is a chain with its gradients, for x of a rank. Its outputs are z and the gradients; a bare one's only the gradients,
// of which the cotangent is an input.
func (c chain) model(t testing.TB, rank int, bare bool) *onnx.Model {
	t.Helper()
	g := &drawing{onnx.NewBuilder(&onnx.Graph{Name: c.name}), bare}
	g.Input("x", onnx.Float, []any{"m", "k", "l", "n"}[4-rank:]...)
	request := autodiff.Request{Of: c.build(g, "x"), Wrt: c.wrt}
	g.Graph.Outputs = []onnx.ValueInfo{{Name: request.Of, Type: onnx.Float, Shape: g.Graph.Inputs[0].Shape}}
	if bare {
		request.Seed = g.like("seed", onnx.Float)
	}
	m, _, err := autodiff.Differentiate(onnx.NewModel(g.Graph), request)
	if err != nil {
		t.Fatal(err)
	}
	if bare {
		m.Graph.Outputs = m.Graph.Outputs[1:]
		prune(m.Graph)
	}
	return m
}

// prune takes away the nodes that no output needs; the engine would run them.
func prune(g *onnx.Graph) {
	needed := map[string]bool{}
	for _, v := range g.Outputs {
		needed[v.Name] = true
	}
	var kept []*onnx.Node
	for _, n := range slices.Backward(g.Nodes) {
		if slices.ContainsFunc(n.Outputs, func(o string) bool { return needed[o] }) {
			kept = append(kept, n)
			for _, i := range n.Inputs {
				needed[i] = true
			}
		}
	}
	slices.Reverse(kept)
	g.Nodes = kept
}

// feeds draws all inputs of a model for x of a shape.
func feeds(r *rand.Rand, t testing.TB, m *onnx.Model, shape []int) map[string]*ort.Tensor {
	t.Helper()
	all := map[string]*ort.Tensor{}
	for _, v := range m.Graph.Inputs {
		of := shape[len(shape)-len(v.Shape):]
		if v.Type == onnx.Float {
			all[v.Name] = draw(r, t, of...)
			continue
		}
		bits := make([]bool, elements(of))
		for i := range bits {
			bits[i] = r.IntN(10) > 0
		}
		x, err := ort.NewTensor(of, bits)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { x.Close() })
		all[v.Name] = x
	}
	return all
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// opened is a session that is closed with the test.
func opened(t testing.TB, m *onnx.Model, o ort.Options) *ort.Session {
	t.Helper()
	s, err := ort.OpenModel(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// outputs runs a session and returns what a model says that it gives.
func outputs(t testing.TB, m *onnx.Model, s *ort.Session, in map[string]*ort.Tensor) map[string][]float32 {
	t.Helper()
	fetches := map[string]*ort.Tensor{}
	for _, v := range m.Graph.Outputs {
		fetches[v.Name] = nil
	}
	if err := s.Run(in, fetches); err != nil {
		t.Fatal(err)
	}
	all := map[string][]float32{}
	for name, x := range fetches {
		all[name] = append([]float32{}, ort.Data[float32](x)...)
		x.Close()
	}
	return all
}

// ours counts the operators of the domain, products left out.
func ours(m *onnx.Model) map[string]int {
	count := map[string]int{}
	for _, n := range m.Graph.Nodes {
		if n.Domain == kernels.Domain && n.Op != "Gemm" {
			count[n.Op]++
		}
	}
	return count
}

// TestChains compares the operators with the chains that they stand for, on random shapes, for each width of vectors, and with
// themselves on one thread: bit for bit.
func TestChains(t *testing.T) {
	skipWithout(t)
	defer kernels.LimitLanes(16)
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range chains {
		for rank := 2; rank <= 4; rank++ {
			t.Run(fmt.Sprint(c.name, rank), func(t *testing.T) {
				plain := c.model(t, rank, false)
				lowered := kernels.Lower(plain)
				if got := ours(lowered); fmt.Sprint(got) != fmt.Sprint(c.want) {
					t.Errorf("operators %v, want %v", got, c.want)
				}
				sessions := []*ort.Session{opened(t, plain, ort.Options{Threads: 2}),
					opened(t, lowered, ort.Options{Threads: 2, Kernels: true}), opened(t, lowered, ort.Options{Threads: 1, Kernels: true})}
				for i := range 12 {
					kernels.LimitLanes([]int{16, 8, 4}[i%3])
					shape := drawShape(r, rank)
					t.Log(shape)
					rows := float64(elements(shape) / shape[rank-1])
					compareChains(t, plain, sessions, feeds(r, t, plain, shape), 1e-6*(4+math.Sqrt(rows)))
				}
			})
		}
	}
}

// drawShape is a shape whose last dimension has any relation to the registers' width. Rows are many now and then.
func drawShape(r *rand.Rand, rank int) []int {
	shape := []int{1 + r.IntN(9), 1 + r.IntN(3), 1 + r.IntN(4), 2 + r.IntN(70)}[4-rank:]
	switch r.IntN(6) {
	case 0, 1:
		shape[0] = 100 + r.IntN(700)
	case 2:
		shape[rank-1] = 700 + r.IntN(2000)
	}
	return shape
}

// compareChains takes a plain session, one of ours and one of ours on one thread. The plain sums of many rows round, too.
func compareChains(t *testing.T, plain *onnx.Model, sessions []*ort.Session, in map[string]*ort.Tensor, tolerance float64) {
	t.Helper()
	want, got, alone := outputs(t, plain, sessions[0], in), outputs(t, plain, sessions[1], in), outputs(t, plain, sessions[2], in)
	for name := range want {
		largest := float32(1)
		for _, v := range want[name] {
			largest = max(largest, v, -v)
		}
		near(t, got[name], want[name], tolerance*float64(largest))
		near(t, got[name], alone[name], 0)
	}
}

// TestRefusals: shapes that do not fit each other are errors that name the operator.
func TestRefusals(t *testing.T) {
	skipWithout(t)
	r := rand.New(rand.NewPCG(7, 8))
	for _, c := range []struct {
		op, want string
		types    string // a letter an input: f or b
		shapes   [][]int
		outputs  int
	}{
		{"GeluGrad", "dimension 1 is 3 in input 0 and 4 in input 1", "ff", [][]int{{2, 3}, {2, 4}}, 1},
		{"GeluGrad", "input 0 has rank 1, input 1 2", "ff", [][]int{{6}, {2, 3}}, 2},
		{"ColumnSum", "input 0 is a scalar", "f", [][]int{{}}, 1},
		{"Mask", "dimension 0 is 2 in input 0 and 1 in input 1", "fb", [][]int{{2, 3}, {1, 3}}, 1},
		{"Mask", "dimension 1 is 3 in input 0 and 1 in input 2", "fbf", [][]int{{2, 3}, {2, 3}, {2, 1}}, 2},
		{"LayerNormalizationGrad", "input 1 is a scalar", "fffff", [][]int{{}, {}, {}, {}, {1}}, 1},
		{"LayerNormalizationGrad", "dimension 1 is 3 in input 0 and 4 in input 1", "fffff", [][]int{{2, 3}, {2, 4}, {2, 1}, {2, 1}, {4}}, 1},
		{"LayerNormalizationGrad", "dimension 0 of input 2 is 1, want 2", "fffff", [][]int{{2, 4}, {2, 4}, {1, 1}, {2, 1}, {4}}, 3},
		{"LayerNormalizationGrad", "input 3 has rank 1, want that of input 1, 2", "fffff", [][]int{{2, 4}, {2, 4}, {2, 1}, {2}, {4}}, 3},
		{"LayerNormalizationGrad", "input 4 has 3 elements, want 4", "fffff", [][]int{{2, 4}, {2, 4}, {2, 1}, {2, 1}, {3}}, 3},
		{"LayerNormalizationGrad", "input 4 has rank 2, want 1", "fffff", [][]int{{2, 4}, {2, 4}, {2, 1}, {2, 1}, {1, 4}}, 1},
		{"LayerNormalizationGrad", "dimension 0 is 1 in input 5 and 2 in input 1", "ffffff", [][]int{{2, 4}, {2, 4}, {2, 1}, {2, 1}, {4}, {1, 4}}, 3},
	} {
		t.Run(c.op+" "+c.want, func(t *testing.T) {
			m, in := direct(r, t, c.op, c.types, c.shapes, c.outputs)
			_, _, err := run(t, m, ort.Options{Threads: 2, Kernels: true}, in)
			if err == nil || !strings.Contains(err.Error(), kernels.Domain+"."+c.op+": "+c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// direct is a model of one operator of ours, whose shapes nobody has looked at, and inputs for it.
func direct(r *rand.Rand, t *testing.T, op, types string, shapes [][]int, outputs int) (*onnx.Model, map[string]*ort.Tensor) {
	t.Helper()
	g, in := &onnx.Graph{Name: op}, map[string]*ort.Tensor{}
	n := &onnx.Node{Domain: kernels.Domain, Op: op, Outputs: []string{"y", "second", "third"}[:outputs], Attrs: []onnx.Attr{onnx.IntAttr("tanh", 0)}}
	if !strings.HasPrefix(op, "Gelu") {
		n.Attrs = nil
	}
	for i, letter := range types {
		name := fmt.Sprint("in", i)
		n.Inputs = append(n.Inputs, name)
		v := onnx.ValueInfo{Name: name, Type: onnx.Float}
		in[name] = draw(r, t, shapes[i]...)
		if letter == 'b' {
			v.Type = onnx.Bool
			bits, err := ort.NewTensor(shapes[i], make([]bool, elements(shapes[i])))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { bits.Close() })
			in[name] = bits
		}
		g.Inputs = append(g.Inputs, v)
	}
	g.Nodes, g.Outputs = []*onnx.Node{n}, []onnx.ValueInfo{{Name: "y", Type: onnx.Float}}
	m := onnx.NewModel(g)
	m.Opsets[kernels.Domain] = 1
	return m, in
}

// BenchmarkChains times chains without and with our operators, in turns.
func BenchmarkChains(b *testing.B) {
	if !kernels.Supported() {
		b.Skip("no kernels on this machine")
	}
	for _, c := range chains {
		for _, shape := range [][]int{{1000, 768}, {1000, 3072}} {
			b.Run(fmt.Sprint(strings.ReplaceAll(c.name, " ", "-"), shape), func(b *testing.B) { c.time(b, shape) })
		}
	}
}

func (c chain) time(b *testing.B, shape []int) {
	r := rand.New(rand.NewPCG(9, 10))
	plain := c.model(b, 2, true)
	in := feeds(r, b, plain, shape)
	sessions := []*ort.Session{opened(b, plain, ort.Options{Threads: 2}), opened(b, kernels.Lower(plain), ort.Options{Threads: 2, Kernels: true})}
	fetches := map[string]*ort.Tensor{} // the same memory in all runs
	for _, v := range plain.Graph.Outputs {
		fetches[v.Name] = nil
	}
	if err := sessions[0].Run(in, fetches); err != nil {
		b.Fatal(err)
	}
	var times [2][]float64
	for b.Loop() {
		for i, s := range sessions {
			start := time.Now()
			if err := s.Run(in, fetches); err != nil {
				b.Fatal(err)
			}
			times[i] = append(times[i], time.Since(start).Seconds()*1000)
		}
	}
	for i, unit := range []string{"ms-plain", "ms-ours"} {
		sort.Float64s(times[i])
		b.ReportMetric(times[i][len(times[i])/2], unit)
	}
	b.ReportMetric(0, "ns/op")
}
