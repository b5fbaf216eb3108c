package kernels_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"metalora/onnx"
	"metalora/onnx/autodiff"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
)

// attention is a graph of attention as package models builds it.
type attention struct {
	heads, width int
	single       bool // one query a row
	deep         bool // projections are [rows, length, hidden]
	dropout      bool
	factor       float32 // of what dropout keeps, with another name behind it; 0: none
	unscaled     bool
	mask         string // "source": [rows, 1, 1, length], "expanded", or "queries": [rows, 1, queries, length]
	wrt          []string
}

func (a attention) String() string {
	return fmt.Sprintf("%dx%d single=%v deep=%v dropout=%v unscaled=%v %s %v", a.heads, a.width, a.single, a.deep, a.dropout, a.unscaled, a.mask, a.wrt)
}

// model has the outputs z, the context times an input, and the gradients by wrt.
func (a attention) model(t testing.TB) *onnx.Model {
	t.Helper()
	b := onnx.NewBuilder(&onnx.Graph{Name: "attention"})
	m := onnx.NewModel(b.Graph)
	m.DefineDim("tokens", "length*rows")
	hidden := a.heads * a.width
	b.Input("ids", onnx.Int64, "rows", "length")
	queries, shape := any("length"), []any{"tokens", hidden}
	if a.deep {
		shape = []any{"rows", "length", hidden}
	}
	keys := slices.Clone(shape)
	if a.single {
		queries, shape = 1, []any{"rows", hidden}
	}
	split := b.Op("Concat", []string{b.Op("Shape", []string{"ids"}), b.Ints(int64(a.heads), int64(a.width))}, onnx.IntAttr("axis", 0))
	q, k, v := b.Input("q", onnx.Float, shape...), b.Input("k", onnx.Float, keys...), b.Input("v", onnx.Float, keys...)
	part := func(x, split string, perm ...int64) string {
		return b.Op("Transpose", []string{b.Op("Reshape", []string{x, split})}, onnx.IntsAttr("perm", perm...))
	}
	qs := split
	if a.single {
		qs = b.Ints(-1, 1, int64(a.heads), int64(a.width))
	}
	scores := b.Op("MatMul", []string{part(q, qs, 0, 2, 1, 3), part(k, split, 0, 2, 3, 1)})
	if !a.unscaled {
		scores = b.Op("Mul", []string{scores, b.Scalar(0.3)})
	}
	p := b.Op("Softmax", []string{b.Op("Add", []string{scores, a.added(b, queries)})}, onnx.IntAttr("axis", -1))
	if a.dropout {
		p = b.Op("Mul", []string{p, b.Op("Cast", []string{b.Input("kept", onnx.Bool, "rows", a.heads, queries, "length")}, onnx.IntAttr("to", int64(onnx.Float)))})
	}
	if a.factor != 0 {
		p = b.Op("Identity", []string{b.Op("Mul", []string{p, b.Scalar(a.factor)})})
	}
	y := b.Op("Transpose", []string{b.Op("MatMul", []string{p, part(v, split, 0, 2, 1, 3)})}, onnx.IntsAttr("perm", 0, 2, 1, 3))
	joined := b.Ints(-1, int64(hidden))
	if a.deep {
		joined = b.Ints(0, 0, int64(hidden))
	}
	y = b.Op("Reshape", []string{y, joined})
	b.Named("z", "Mul", []string{y, b.Input("c", onnx.Float, shape...)})
	b.Output("z", onnx.Float, shape...)
	m, _, err := autodiff.Differentiate(m, autodiff.Request{Of: "z", Wrt: a.wrt})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// added is what is added to the scores.
func (a attention) added(b *onnx.Builder, queries any) string {
	if a.mask == "queries" {
		return b.Input("mask", onnx.Float, "rows", 1, queries, "length")
	}
	mask := b.Input("mask", onnx.Float, "rows", 1, 1, "length")
	if a.mask == "source" {
		return mask
	}
	length := b.Op("Gather", []string{b.Op("Shape", []string{"ids"}), b.Ints(1)}, onnx.IntAttr("axis", 0))
	return b.Op("Expand", []string{mask, b.Op("Concat", []string{b.Ints(1, 1), length, b.Ints(1)}, onnx.IntAttr("axis", 0))})
}

// feed draws inputs for a model. A fourth of what may be looked at is barred, and a row now and then sees nothing.
func (a attention) feed(r *rand.Rand, t testing.TB, m *onnx.Model, rows, length int) map[string]*ort.Tensor {
	t.Helper()
	sizes := map[string]int{"rows": rows, "length": length, "tokens": rows * length, "length*rows": rows * length}
	in := map[string]*ort.Tensor{}
	for _, v := range m.Graph.Inputs {
		var shape []int
		n := 1
		for _, d := range v.Shape {
			size := int(d.Size)
			if size < 0 {
				size = sizes[d.Name]
			}
			shape = append(shape, size)
			n *= size
		}
		switch {
		case v.Type == onnx.Int64:
			in[v.Name] = orttest.Tensor(t, shape, make([]int64, n))
		case v.Type == onnx.Bool:
			kept := make([]bool, n)
			for i := range kept {
				kept[i] = r.IntN(10) > 0
			}
			in[v.Name] = orttest.Tensor(t, shape, kept)
		case v.Name == "mask":
			mask, blind := make([]float32, n), r.IntN(4) == 0
			for i := range mask {
				if r.IntN(4) == 0 || blind && i < length {
					mask[i] = -3.4028234663852886e38
				}
			}
			in[v.Name] = orttest.Tensor(t, shape, mask)
		default:
			data := make([]float32, n)
			for i := range data {
				data[i] = float32(r.NormFloat64())
			}
			in[v.Name] = orttest.Tensor(t, shape, data)
		}
	}
	return in
}

// TestAttention compares the operators with the chains that they stand for, and with themselves on one thread: bit for bit.
func TestAttention(t *testing.T) {
	skipWithout(t)
	all := []string{"q", "k", "v"}
	for _, lanes := range []int{16, 8, 4} {
		kernels.LimitLanes(lanes)
		defer kernels.LimitLanes(16)
		r := rand.New(rand.NewPCG(5, uint64(lanes)))
		for _, a := range []attention{
			{heads: 3, width: 32, mask: "expanded", dropout: true, wrt: all},
			{heads: 2, width: 64, mask: "expanded", wrt: all},
			{heads: 3, width: 32, single: true, mask: "source", dropout: true, wrt: all},
			{heads: 2, width: 5, deep: true, mask: "queries", wrt: all},
			{heads: 1, width: 33, mask: "source", unscaled: true, wrt: all},
			{heads: 2, width: 20, mask: "queries", dropout: true, factor: 1.25, wrt: all},
			{heads: 2, width: 16, mask: "source", dropout: true, wrt: []string{"v"}},
			{heads: 2, width: 16, mask: "source", dropout: true, wrt: []string{"q"}},
			{heads: 2, width: 16, mask: "source", wrt: []string{"k", "v"}},
			{heads: 2, width: 1, mask: "expanded", dropout: true, wrt: []string{}},
		} {
			t.Run(fmt.Sprint(lanes, a), func(t *testing.T) { compareAttention(t, r, a) })
		}
	}
}

func compareAttention(t *testing.T, r *rand.Rand, a attention) {
	plain := a.model(t)
	lowered := kernels.Lower(plain)
	count := map[string]int{}
	for _, n := range lowered.Graph.Nodes {
		count[n.Op]++
	}
	if count["Attention"] != 1 || count["AttentionGrad"] != min(1, len(a.wrt)) || count["Softmax"]+count["MatMul"]+count["Transpose"] > 0 {
		t.Fatalf("operators %v", count)
	}
	var sessions []*ort.Session
	for i, m := range []*onnx.Model{plain, lowered, lowered} {
		s, err := ort.OpenModel(m, ort.Options{Threads: 1 + i%2, Kernels: i > 0})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sessions = append(sessions, s)
	}
	for _, length := range []int{1 + r.IntN(9), 1 + r.IntN(60), 100, 129 + r.IntN(500)} {
		in := a.feed(r, t, plain, 1+r.IntN(3), length)
		want, got, alone := fetch(t, sessions[0], in), fetch(t, sessions[1], in), fetch(t, sessions[2], in)
		for name := range want {
			largest := float32(1)
			for _, x := range want[name] {
				largest = max(largest, x, -x)
			}
			near(t, got[name], want[name], 4e-6*float64(largest))
			near(t, got[name], alone[name], 0)
		}
	}
}

// fetch is all outputs of a run.
func fetch(t *testing.T, s *ort.Session, in map[string]*ort.Tensor) map[string][]float32 {
	t.Helper()
	out := map[string]*ort.Tensor{}
	for _, v := range s.Outputs() {
		out[v.Name] = nil
	}
	if err := s.Run(in, out); err != nil {
		t.Fatal(err)
	}
	data := map[string][]float32{}
	for name, x := range out {
		data[name] = slices.Clone(ort.Data[float32](x))
		x.Close()
	}
	return data
}

// TestAttentionLeaves: chains that look alike but compute something else, or whose probabilities somebody reads, stay.
func TestAttentionLeaves(t *testing.T) {
	a := attention{heads: 2, width: 4, mask: "source", wrt: []string{"q", "k", "v"}}
	softmax := func(m *onnx.Model) *onnx.Node {
		return m.Graph.Nodes[slices.IndexFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return n.Op == "Softmax" })]
	}
	// change replaces a node by one with other attributes or inputs.
	change := func(m *onnx.Model, op string, with func(n *onnx.Node)) {
		i := slices.IndexFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return n.Op == op })
		n := *m.Graph.Nodes[i]
		n.Inputs, n.Attrs = slices.Clone(n.Inputs), slices.Clone(n.Attrs)
		with(&n)
		m.Graph.Nodes[i] = &n
	}
	for name, spoil := range map[string]func(m *onnx.Model){
		"nothing": nil,
		"probabilities are an output": func(m *onnx.Model) {
			m.Graph.Outputs = append(m.Graph.Outputs, onnx.ValueInfo{Name: softmax(m).Output(0), Type: onnx.Float})
		},
		"another axis": func(m *onnx.Model) { change(m, "Softmax", func(n *onnx.Node) { n.Attrs[0].I = 1 }) },
		"one mask for all rows": func(m *onnx.Model) {
			i := slices.IndexFunc(m.Graph.Inputs, func(v onnx.ValueInfo) bool { return v.Name == "mask" })
			m.Graph.Inputs[i].Shape = onnx.Dims(1, 1, 1, "length")
		},
		"a mask of who knows how many rows": func(m *onnx.Model) {
			i := slices.IndexFunc(m.Graph.Inputs, func(v onnx.ValueInfo) bool { return v.Name == "mask" })
			m.Graph.Inputs[i].Shape = onnx.Dims("lines", 1, 1, "length")
		},
		"heads stay where they are": func(m *onnx.Model) {
			change(m, "Transpose", func(n *onnx.Node) { n.Attrs[0] = onnx.IntsAttr("perm", 0, 1, 2, 3) })
		},
		"a scale that is fed": func(m *onnx.Model) {
			i := slices.IndexFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return n.Op == "Mul" })
			m.Graph.Inputs = append(m.Graph.Inputs, onnx.ValueInfo{Name: m.Graph.Nodes[i].Inputs[1], Type: onnx.Float, Shape: onnx.Shape{}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := a.model(t)
			if spoil != nil {
				spoil(m)
			}
			left := slices.ContainsFunc(kernels.Lower(m).Graph.Nodes, func(n *onnx.Node) bool { return n.Op == "Softmax" })
			if left != (spoil != nil) {
				t.Errorf("the softmax is left: %v", left)
			}
		})
	}
}

// BenchmarkAttention times attention forward, and forward with its gradient, in turns without the operators and with them:
// 10 rows of 100 tokens, 12 heads. The medians are metrics.
func BenchmarkAttention(b *testing.B) {
	if !kernels.Supported() {
		b.Skip("no kernels on this machine")
	}
	for _, a := range []attention{
		{heads: 12, width: 32, mask: "expanded", dropout: true},
		{heads: 12, width: 64, mask: "expanded", dropout: true},
		{heads: 12, width: 64, mask: "expanded"},
		{heads: 12, width: 32, mask: "source", single: true, dropout: true},
	} {
		for _, wrt := range [][]string{{}, {"q", "k", "v"}} {
			a.wrt = wrt
			b.Run(strings.ReplaceAll(a.String(), " ", ","), a.time)
		}
	}
}

func (a attention) time(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	plain := a.model(b)
	var sessions [2]*ort.Session
	for i, m := range []*onnx.Model{plain, kernels.Lower(plain)} {
		s, err := ort.OpenModel(m, ort.Options{Threads: 2, Kernels: i > 0})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		sessions[i] = s
	}
	in := a.feed(r, b, plain, 10, 100)
	out := map[string]*ort.Tensor{} // the same memory in all runs
	for _, v := range plain.Graph.Outputs {
		out[v.Name] = nil
	}
	var times [2][]float64
	for range b.N {
		for i, s := range sessions {
			start := time.Now()
			if err := s.Run(in, out); err != nil {
				b.Fatal(err)
			}
			times[i] = append(times[i], float64(time.Since(start).Microseconds())/1000)
		}
	}
	for i, name := range []string{"ms-plain", "ms-kernels"} {
		slices.Sort(times[i])
		b.ReportMetric(times[i][len(times[i])/2], name)
	}
}
