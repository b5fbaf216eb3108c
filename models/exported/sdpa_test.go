package exported_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/models/exported"
	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
)

// sdpa is how a file writes softmax(q kᵀ/√2 + mask) of the small model, where it is not as torch's legacy exporter does.
type sdpa struct {
	name     string
	byQ, byK func(b *onnx.Builder) string           // the number; nil: ∜½
	turn     func(b *onnx.Builder, k string) string // [rows, length, heads, width] as [rows, heads, width, length]
	low      float32                                // what the mask adds where nothing is to be seen; 0: -∞
	mask     func(b *onnx.Builder, m string) string // is added in place of the mask m
	guard    func(b *onnx.Builder, p string) string // nil: zeros for NaN
	left     string                                 // of the form, in what is trained; empty: nothing
}

func number(x float32) func(*onnx.Builder) string {
	return func(b *onnx.Builder) string { return b.Scalar(x) }
}

// tensor is a constant with one dimension more than needed, or one that is called as a weight is.
func tensor(name string, x *onnx.Tensor) func(*onnx.Builder) string {
	return func(b *onnx.Builder) string {
		c := *x
		c.Name = b.Fresh(name)
		b.Graph.Initializers = append(b.Graph.Initializers, &c)
		return c.Name
	}
}

// computed is √(1/√width) as optimum's files have it.
func computed(b *onnx.Builder) string {
	width := b.Op("Slice", []string{b.Op("Shape", []string{"roberta.encoder.layer.0.attention/transpose:out"}), b.Ints(-1), b.Ints(math.MaxInt64)})
	root := b.Op("Sqrt", []string{b.Op("Cast", []string{width}, onnx.IntAttr("to", int64(onnx.Float)))})
	c := b.Op("Cast", []string{b.Op("Div", []string{b.Const(onnx.Floats([]int64{1}, 1)), root})}, onnx.IntAttr("to", int64(onnx.Float)))
	return b.Op("Sqrt", []string{c})
}

// threefold turns keys by way of three dimensions, the last two of which have the sizes of two axes.
func threefold(second, third int64, perm ...int64) func(b *onnx.Builder, k string) string {
	return func(b *onnx.Builder, k string) string {
		k = b.Op("Transpose", []string{k}, onnx.IntsAttr("perm", 0, 2, 1, 3))
		sizes := b.Op("Shape", []string{k})
		at := func(axis int64) string { return b.Op("Slice", []string{sizes, b.Ints(axis), b.Ints(axis + 1)}) }
		concat := func(parts ...string) string { return b.Op("Concat", parts, onnx.IntAttr("axis", 0)) }
		flat := b.Op("Reshape", []string{k, concat(b.Ints(-1), at(second), at(third))})
		flat = b.Op("Transpose", []string{flat}, onnx.IntsAttr("perm", perm...))
		return b.Op("Reshape", []string{flat, concat(at(0), at(1), at(3), at(2))})
	}
}

func guarded(test func(p string) string, filling float32) func(b *onnx.Builder, p string) string {
	return func(b *onnx.Builder, p string) string {
		return b.Op("Where", []string{b.Op("IsNaN", []string{test(p)}), b.Const(onnx.Floats([]int64{1}, filling)), p})
	}
}

func itself(p string) string { return p }

var sdpas = []sdpa{
	{name: "legacy"},
	{name: "dynamo", turn: threefold(2, 3, 0, 2, 1), low: -math.MaxFloat32},
	{name: "optimum", byQ: computed, byK: computed, low: -math.MaxFloat32, guard: func(_ *onnx.Builder, p string) string { return p }},
	{name: "numbers of one dimension", byQ: tensor("c", onnx.Floats([]int64{1}, 2)), byK: tensor("d", onnx.Floats([]int64{1, 1}, 0.4))},
	{name: "another number for keys", byQ: number(2), byK: number(0.3)},
	{name: "keys times one", byQ: number(0.7), byK: number(1)},

	{name: "a number for each head", byQ: tensor("c", onnx.Floats([]int64{2, 1, 1}, 0.5, 0.9)), left: "MatMul(Mul("},
	{name: "a weight", byQ: tensor("scale.weight", onnx.Floats(nil, 0.5)), left: "MatMul(Mul("},
	{name: "zero", byK: number(0), left: "MatMul(Mul("},
	{name: "less than zero", byQ: number(-1), left: "MatMul(Mul("},
	{name: "keys in another order", turn: threefold(3, 2, 0, 2, 1), left: "Transpose(Reshape),Reshape)"},
	{name: "keys that are not turned", turn: threefold(2, 3, 0, 1, 2), left: "Transpose(Reshape),Reshape)"},
	{name: "guarded by ones", guard: guarded(itself, 1), left: "IsNaN("},
	{name: "guarded for another", guard: guarded(func(string) string { return "mask" }, 0), left: "IsNaN("},
	{name: "guarded the other way round", guard: func(b *onnx.Builder, p string) string {
		return b.Op("Where", []string{b.Op("Not", []string{b.Op("IsNaN", []string{p})}), p, b.Scalar(0)})
	}, left: "IsNaN("},
	{name: "probabilities are read twice", guard: func(b *onnx.Builder, p string) string {
		return b.Op("Add", []string{guarded(itself, 0)(b, p), b.Op("Mul", []string{p, b.Scalar(0.5)})})
	}, left: "IsNaN("},
	{name: "the test is read twice", guard: func(b *onnx.Builder, p string) string {
		safe := guarded(itself, 0)(b, p)
		test := b.Graph.Nodes[len(b.Graph.Nodes)-1].Input(0)
		return b.Op("Add", []string{safe, b.Op("Cast", []string{test}, onnx.IntAttr("to", int64(onnx.Float)))})
	}, left: "IsNaN("},
	{name: "a mask of computed numbers", mask: func(b *onnx.Builder, m string) string { return b.Op("Neg", []string{b.Op("Neg", []string{m})}) }, left: "IsNaN("},
	{name: "a mask that adds infinity", low: float32(math.Inf(1)), left: "IsNaN("},
	{name: "a mask that is no number", low: float32(math.NaN()), left: "IsNaN("},
}

// model is the small model with attention in the form, and weights so large that it matters.
func (f sdpa) model(t *testing.T) *onnx.Model {
	t.Helper()
	m := small(t)
	r := rand.New(rand.NewPCG(1, 2))
	for i, w := range m.Graph.Initializers {
		if w.Type == onnx.Float && len(w.Dims) == 2 {
			xs := make([]float32, len(w.Raw)/4)
			for i := range xs {
				xs[i] = float32(r.NormFloat64())
			}
			name := w.Name
			m.Graph.Initializers[i] = onnx.Floats(w.Dims, xs...)
			m.Graph.Initializers[i].Name = name
		}
	}
	b, nodes, p := onnx.NewBuilder(m.Graph), m.Graph.Nodes, ""
	m.Graph.Nodes = nil
	b.Reserve(nodes)
	for _, n := range nodes {
		if n.Op == "Softmax" {
			p = f.write(b, n)
			continue
		}
		for i, v := range n.Inputs {
			if strings.HasSuffix(v, "softmax:out") {
				n.Inputs[i] = p
			}
		}
		b.Graph.Nodes = append(b.Graph.Nodes, n)
	}
	return m
}

// write appends attention's probabilities in the place of the softmax.
func (f sdpa) write(b *onnx.Builder, softmax *onnx.Node) string {
	const block = "roberta.encoder.layer.0.attention/"
	root := number(float32(math.Sqrt(math.Sqrt(0.5))))
	byQ, byK, turn, low := f.byQ, f.byK, f.turn, f.low
	if byQ == nil {
		byQ = root
	}
	if byK == nil {
		byK = root
	}
	if turn == nil {
		turn = func(b *onnx.Builder, k string) string {
			return b.Op("Transpose", []string{k}, onnx.IntsAttr("perm", 0, 2, 3, 1))
		}
	}
	if low == 0 {
		low = float32(math.Inf(-1))
	}
	seen := b.Op("Cast", []string{b.Op("Unsqueeze", []string{"attention_mask", b.Ints(1, 2)})}, onnx.IntAttr("to", int64(onnx.Bool)))
	added := b.Named("mask", "Where", []string{seen, b.Scalar(0), b.Scalar(low)})
	if f.mask != nil {
		added = f.mask(b, added)
	}
	q := b.Op("Mul", []string{block + "transpose:out", byQ(b)})
	k := b.Op("Mul", []string{byK(b), turn(b, block+"reshape:out_2")})
	p := b.Op("Softmax", []string{b.Op("Add", []string{b.Op("MatMul", []string{q, k}), added})}, onnx.IntAttr("axis", -1))
	if p = b.Op("Identity", []string{p}); f.guard == nil { // which every exporter leaves here and there
		return guarded(itself, 0)(b, p)
	}
	return f.guard(b, p)
}

// formula writes what a value is computed of, down to what is no part of attention. c is a constant or an input.
func formula(m *onnx.Model, v string) string {
	i := slices.IndexFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return slices.Contains(n.Outputs, v) })
	switch {
	case i < 0:
		return "c"
	case slices.Contains([]string{"Reshape", "Cast", "Unsqueeze"}, m.Graph.Nodes[i].Op):
		return m.Graph.Nodes[i].Op
	}
	var inputs []string
	for _, v := range m.Graph.Nodes[i].Inputs {
		inputs = append(inputs, formula(m, v))
	}
	return fmt.Sprintf("%s(%s)", m.Graph.Nodes[i].Op, strings.Join(inputs, ","))
}

// TestScaledDotProduct: attention as torch's sdpa is exported gets the form of metalora's own graphs and gives the logits of the
// file; what is nearly that stays as it is, and gives them, too.
func TestScaledDotProduct(t *testing.T) {
	const plain = "Softmax(Add(Mul(MatMul(Transpose(Reshape),Transpose(Reshape)),c),Where(Cast,c,c)))"
	for _, f := range sdpas {
		t.Run(f.name, func(t *testing.T) {
			file := f.model(t)
			x, err := exported.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			products := slices.DeleteFunc(slices.Clone(x.Graph.Graph.Nodes), func(n *onnx.Node) bool { return n.Op != "MatMul" })
			got := formula(x.Graph, products[len(products)-1].Input(0))
			if f.left == "" && got != plain {
				t.Errorf("probabilities are %s, want %s", got, plain)
			} else if !strings.Contains(got, f.left) {
				t.Errorf("probabilities are %s, where %s… had to stay", got, f.left)
			}
			ids, mask := []int64{0, 5, 6, 2, 0, 7, 2, 1, 0, 9, 9, 4}, []int64{1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1}
			want := logits(t, file, nil, ids, mask)
			if diff := cmp.Diff(want, logits(t, x.Graph, x.Weights, ids, mask), within(2e-6)); diff != "" {
				t.Errorf("logits (-the file's +what is trained):\n%s", diff)
			}
		})
	}
}

// TestBlindQueries: a row of which nothing is to be seen has logits that are numbers.
func TestBlindQueries(t *testing.T) {
	x, err := exported.Open(sdpas[0].model(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, y := range logits(t, x.Graph, x.Weights, []int64{0, 5, 6, 2, 0, 7, 2, 1, 0, 9, 9, 4}, make([]int64, 12)) {
		if math.IsNaN(float64(y)) || math.IsInf(float64(y), 0) {
			t.Errorf("a logit is %v", y)
		}
	}
}

// within takes NaN for equal to itself.
func within(tolerance float64) cmp.Option {
	return cmp.Comparer(func(a, b float32) bool {
		return a == b || math.Abs(float64(a)-float64(b)) <= tolerance*math.Max(1, math.Abs(float64(a))) || a != a && b != b
	})
}

// logits runs a model on three rows of four tokens.
func logits(t *testing.T, m *onnx.Model, weights safetensors.Tensors, ids, mask []int64) []float32 {
	t.Helper()
	s, err := ort.OpenModel(m, ort.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return run(t, s, weights, func(name string) *ort.Tensor {
		if name == "input_ids" {
			return orttest.Tensor(t, []int{3, 4}, ids)
		}
		return orttest.Tensor(t, []int{3, 4}, mask)
	})
}
