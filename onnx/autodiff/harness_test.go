package autodiff

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"metalora/onnx"
	"metalora/onnx/ort"
)

// testCase is a small graph with float inputs. Its gradients are checked against finite differences in every form that
// the declared inputs can take.
type testCase struct {
	name   string
	inputs []input
	build  func(b *onnx.Builder, in []string) string // returns the value that is differentiated
	sized  bool                                      // ONNX Runtime itself misjudges the graph where sizes are symbols
	single bool                                      // ONNX Runtime has no double kernel for an operator in it
	opset  int64                                     // 0: the default; of a drawn case: the one it was drawn for
	along  bool                                      // each input's gradient is checked along one direction, not by every element
}

// input is one input of a test graph.
type input struct {
	shape  []int
	values func(r *rand.Rand, i int) float64
}

// What inputs are filled with: anything; what keeps off zero and other kinks, by more than a finite difference's step;
// numbers above zero; numbers of which no two are near each other.
func anything(r *rand.Rand, _ int) float64 { return r.NormFloat64() }
func offZero(r *rand.Rand, _ int) float64  { return math.Copysign(0.2+r.Float64(), r.Float64()-0.5) }
func positive(r *rand.Rand, _ int) float64 { return 0.5 + r.Float64() }
func distinct(r *rand.Rand, i int) float64 { return float64(i*7%31)*0.37 - 5.5 + 0.1*r.Float64() }

// of makes inputs of the given shapes, all filled alike.
func of(values func(*rand.Rand, int) float64, shapes ...[]int) []input {
	var in []input
	for _, s := range shapes {
		in = append(in, input{s, values})
	}
	return in
}

// dims is a shape.
func dims(sizes ...int) []int { return append([]int{}, sizes...) }

// form is how the inputs of a case are declared and computed.
type form struct {
	name  string
	dtype onnx.DType
	shape func(in string, sizes []int) onnx.Shape
}

var forms = []form{
	{"static", onnx.Float, fixed},
	{"double", onnx.Double, fixed},
	{"symbolic", onnx.Float, symbolic},
	{"no rank", onnx.Float, func(string, []int) onnx.Shape { return nil }},
}

func fixed(_ string, sizes []int) onnx.Shape {
	s := onnx.Shape{}
	for _, n := range sizes {
		s = append(s, onnx.Dim{Size: int64(n)})
	}
	return s
}

func symbolic(in string, sizes []int) onnx.Shape {
	s := onnx.Shape{}
	for i := range sizes {
		s = append(s, onnx.Dim{Size: -1, Name: fmt.Sprintf("%s.%d", in, i)})
	}
	return s
}

// check compares the gradients of a case in one form against finite differences.
func (c testCase) check(t *testing.T, f form) {
	t.Helper()
	m, in, out := c.model(t, f)
	d, gradients, err := Differentiate(m, Request{Of: out, Wrt: in, Seed: "seed"})
	var unsupported *Unsupported
	if errors.As(err, &unsupported) && (f.shape("x", dims(1)) == nil && strings.Contains(err.Error(), "number of dimensions") ||
		f.name == "symbolic" && strings.Contains(err.Error(), "needs the sizes")) {
		return // said so, as it should
	}
	if err != nil {
		t.Fatal(err)
	}
	isSound(t, d, out)
	for _, x := range in {
		wastesNothing(t, m, Request{Of: out, Wrt: []string{x}, Seed: "seed"})
	}
	threads := 2
	if c.along {
		threads = 1 // nothing to wait for
	}
	before, after := openOn(t, m, threads), openOn(t, d, threads)
	feeds := c.feeds(f, in)
	feeds = withSeed(feeds, c.outputShape(t, before, feeds), f.dtype)
	shapes := map[string][]int{out: feeds["seed"].shape}
	y := before.run(t, feeds, shapes)[out]
	for i, g := range gradients {
		shapes[g.Output] = c.inputs[i].shape
	}
	got := after.run(t, feeds, shapes)
	compare(t, "output", got[out], y.data, y.shape, onnx.Double) // to 1e-6: some kernels' bits depend on where a buffer lies
	for i, name := range in {
		if c.along {
			compareAlong(t, before, feeds, name, out, got[gradients[i].Output])
			continue
		}
		want := differences(t, before, feeds, name, out)
		compare(t, fmt.Sprintf("gradient by input %d", i), got[gradients[i].Output], want, feeds[name].shape, f.dtype)
	}
}

// isSound asks that a differentiated model can be read and loses nothing on several threads.
func isSound(t *testing.T, d *onnx.Model, out string) {
	t.Helper()
	if err := d.Check(); err != nil {
		t.Fatalf("differentiated model: %v", err)
	}
	if _, err := onnx.Infer(d); err != nil {
		t.Fatalf("differentiated model: %v", err)
	}
	for n := range neededFor(d, out) {
		if n.Op == "ScatterND" && reductionOf(n) != "none" {
			t.Errorf("%v combines elements, of which it loses some on several threads", n)
		}
	}
}

// wastesNothing asks that every node which a gradient adds is needed for it.
func wastesNothing(t *testing.T, m *onnx.Model, r Request) {
	t.Helper()
	d, gradients, err := Differentiate(m, r)
	if err != nil {
		t.Fatal(err)
	}
	needed := neededFor(d, gradients[0].Output, r.Of)
	for _, n := range d.Graph.Nodes {
		if strings.HasPrefix(n.Name, "grad/") && !needed[n] {
			t.Errorf("the gradient by %v adds %v, which nothing reads", r.Wrt, n)
		}
	}
}

// neededFor is the nodes that outputs depend on.
func neededFor(m *onnx.Model, outputs ...string) map[*onnx.Node]bool {
	nodes, read := map[*onnx.Node]bool{}, map[string]bool{}
	for _, o := range outputs {
		read[o] = true
	}
	for _, n := range slices.Backward(m.Graph.Nodes) {
		if slices.ContainsFunc(n.Outputs, func(o string) bool { return read[o] }) {
			nodes[n] = true
			for _, x := range n.Inputs {
				read[x] = true
			}
		}
	}
	return nodes
}

// model builds the graph of a case, with the seed of the gradient as one more input.
func (c testCase) model(t *testing.T, f form) (m *onnx.Model, in []string, out string) {
	t.Helper()
	m = onnx.NewModel(&onnx.Graph{Name: "test"})
	m.Opsets[microsoft] = 1
	if c.opset != 0 {
		m.Opsets[""] = c.opset
	}
	for i, x := range c.inputs {
		name := fmt.Sprintf("x%d", i)
		m.Graph.Inputs = append(m.Graph.Inputs, onnx.ValueInfo{Name: name, Type: f.dtype, Shape: f.shape(name, x.shape)})
		in = append(in, name)
	}
	b := onnx.NewBuilder(m.Graph)
	m.Graph.Inputs = append(m.Graph.Inputs, onnx.ValueInfo{Name: "seed", Type: f.dtype})
	out = c.build(b, in)
	info, err := onnx.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	m.Graph.Outputs = append(m.Graph.Outputs, onnx.ValueInfo{Name: out, Type: f.dtype, Shape: info[out].Shape})
	return m, in, out
}

// outputShape is the shape of a case's output: inferred or, where that depends on more than shapes, found by a run.
func (c testCase) outputShape(t *testing.T, s session, feeds map[string]array) []int {
	t.Helper()
	m, _, out := c.model(t, forms[0])
	shape := dims()
	for _, d := range m.Graph.Outputs[0].Shape {
		shape = append(shape, int(d.Size))
	}
	if m.Graph.Outputs[0].Shape == nil || slices.Contains(shape, -1) {
		return s.run(t, withSeed(feeds, dims(1), feeds["x0"].dtype), map[string][]int{out: nil})[out].shape
	}
	return shape
}

// array is a tensor in Go's hands.
type array struct {
	shape []int
	data  []float64
	dtype onnx.DType
}

// feeds fills the inputs of a case, the same way each time.
func (c testCase) feeds(f form, in []string) map[string]array {
	h := fnv.New64()
	h.Write([]byte(c.name))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	feeds := map[string]array{}
	for i, x := range c.inputs {
		a := array{x.shape, make([]float64, elements(x.shape)), f.dtype}
		for j := range a.data {
			a.data[j] = float64(float32(x.values(r, j)))
		}
		feeds[in[i]] = a
	}
	return feeds
}

// withSeed adds a cotangent of some shape to the feeds.
func withSeed(feeds map[string]array, shape []int, dtype onnx.DType) map[string]array {
	r := rand.New(rand.NewPCG(7, 7))
	seed := array{shape, make([]float64, elements(shape)), dtype}
	for i := range seed.data {
		seed.data[i] = float64(float32(r.NormFloat64()))
	}
	feeds = maps.Clone(feeds)
	feeds["seed"] = seed
	return feeds
}

func elements(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// session runs a model with arrays.
type session struct{ *ort.Session }

func open(t *testing.T, m *onnx.Model) session { return openOn(t, m, 2) }

func openOn(t *testing.T, m *onnx.Model, threads int) session {
	t.Helper()
	s, err := ort.OpenModel(m, ort.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return session{s}
}

// run computes outputs of known shapes; nil stands for a shape that is not known.
func (s session) run(t *testing.T, feeds map[string]array, shapes map[string][]int) map[string]array {
	t.Helper()
	in, out := map[string]*ort.Tensor{}, map[string]*ort.Tensor{}
	for name, a := range feeds {
		in[name] = a.tensor(t)
		defer in[name].Close()
	}
	for _, o := range s.Outputs() {
		shape, wanted := shapes[o.Name]
		switch {
		case !wanted:
		case shape == nil:
			out[o.Name] = nil
		default:
			out[o.Name] = array{shape, make([]float64, elements(shape)), o.Type}.tensor(t)
		}
	}
	if err := s.Run(in, out); err != nil {
		t.Fatal(err)
	}
	results := map[string]array{}
	for name, x := range out {
		results[name] = fromTensor(t, x)
		x.Close()
	}
	return results
}

func (a array) tensor(t *testing.T) *ort.Tensor {
	t.Helper()
	var x *ort.Tensor
	var err error
	switch a.dtype {
	case onnx.Double:
		x, err = ort.NewTensor(a.shape, slices.Clone(a.data))
	case onnx.Int64:
		x, err = ort.NewTensor(a.shape, convert[int64](a.data))
	case onnx.Int32:
		x, err = ort.NewTensor(a.shape, convert[int32](a.data))
	case onnx.Bool:
		x, err = ort.NewBools(a.shape, convert[uint8](a.data))
	default:
		x, err = ort.NewTensor(a.shape, convert[float32](a.data))
	}
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func fromTensor(t *testing.T, x *ort.Tensor) array {
	t.Helper()
	a := array{shape: x.Shape(), dtype: x.Type()}
	switch x.Type() {
	case onnx.Float:
		a.data = convert[float64](ort.Data[float32](x))
	case onnx.Double:
		a.data = slices.Clone(ort.Data[float64](x))
	case onnx.Int64:
		a.data = convert[float64](ort.Data[int64](x))
	default:
		t.Fatalf("an output of type %v", x.Type())
	}
	return a
}

func convert[To, From float32 | float64 | int32 | int64 | uint8](xs []From) []To {
	out := make([]To, len(xs))
	for i, x := range xs {
		out[i] = To(x)
	}
	return out
}
