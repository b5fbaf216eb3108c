package kernels_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
)

// TestMisses: a graph that is one operator or one number away from a chain still computes what it says, and so does one whose
// inner value leaves it.
func TestMisses(t *testing.T) {
	skipWithout(t)
	r := rand.New(rand.NewPCG(11, 12))
	for _, c := range chains {
		if c.wrt[len(c.wrt)-1] != "bias" || len(c.wrt) < 2 {
			continue // the whole chains are enough
		}
		t.Run(c.name, func(t *testing.T) {
			m := c.model(t, 2, false)
			in := feeds(r, t, m, []int{3, 6})
			misses := slices.Concat(otherOperators(m), otherNumbers(m), innerOutputs(m))
			for _, near := range misses {
				near.compare(t, in)
			}
			if len(misses) < 20 {
				t.Errorf("only %d", len(misses))
			}
		})
	}
}

// miss is a model that is nearly a chain.
type miss struct {
	what string
	*onnx.Model
}

func (m miss) compare(t *testing.T, in map[string]*ort.Tensor) {
	t.Helper()
	plain, err := ort.OpenModel(m.Model, ort.Options{Threads: 1})
	if err != nil {
		return // no graph at all
	}
	defer plain.Close()
	lowered, err := ort.OpenModel(kernels.Lower(m.Model), ort.Options{Threads: 1, Kernels: true})
	if err != nil {
		t.Fatalf("%s: %v", m.what, err)
	}
	defer lowered.Close()
	want, got := outputs(t, m.Model, plain, in), outputs(t, m.Model, lowered, in)
	for name := range want {
		largest := 1.0
		for _, v := range want[name] {
			largest = max(largest, math.Abs(float64(v)))
		}
		if math.IsNaN(largest) || math.IsInf(largest, 0) {
			continue
		}
		for i, v := range want[name] {
			if !(math.Abs(float64(got[name][i]-v)) <= 4e-6*largest) {
				t.Errorf("%s: %s[%d] is %v, want %v", m.what, name, i, got[name][i], v)
				break
			}
		}
	}
}

// change is a copy of a model with another node.
func change(m *onnx.Model, index int, edit func(n *onnx.Node)) *onnx.Model {
	c := m.Clone()
	n := *c.Graph.Nodes[index]
	n.Inputs, n.Attrs = slices.Clone(n.Inputs), slices.Clone(n.Attrs)
	edit(&n)
	c.Graph.Nodes[index] = &n
	return c
}

// otherOperators have another operator at one place, other factors in the place of one, or another attribute.
func otherOperators(m *onnx.Model) (misses []miss) {
	others := map[string]string{"Mul": "Add", "Add": "Sub", "Sub": "Add", "Div": "Mul", "Exp": "Tanh", "Erf": "Tanh", "Tanh": "Erf", "ReduceMean": "ReduceMax"}
	for i, n := range m.Graph.Nodes {
		if op, ok := others[n.Op]; ok {
			misses = append(misses, miss{n.String() + " as " + op, change(m, i, func(n *onnx.Node) { n.Op = op })})
		}
		if len(n.Inputs) == 2 && (n.Op == "Sub" || n.Op == "Div" || n.Op == "Mul") {
			misses = append(misses, miss{n.String() + " swapped", change(m, i, func(n *onnx.Node) { slices.Reverse(n.Inputs) })})
			misses = append(misses, miss{n.String() + " of x", change(m, i, func(n *onnx.Node) { n.Inputs[0] = "x" })})
			misses = append(misses, miss{n.String() + " of one", change(m, i, func(n *onnx.Node) { n.Inputs[1] = n.Inputs[0] })})
		}
		for a, attr := range n.Attrs {
			if attr.Kind == onnx.KindFloat {
				misses = append(misses, miss{n.String() + " with another " + attr.Name, change(m, i, func(n *onnx.Node) { n.Attrs[a].F = attr.F + 0.25 })})
			}
		}
		if n.Op == "Gemm" {
			misses = append(misses, miss{n.String() + " with alpha", change(m, i, func(n *onnx.Node) { n.Attrs = append(n.Attrs, onnx.FloatAttr("alpha", 2)) })})
		}
		if n.Op == "ConstantOfShape" {
			misses = append(misses, miss{n.String() + " of another number", change(m, i, func(n *onnx.Node) {
				two := *n.Attr("value").T
				two.Raw = binary.LittleEndian.AppendUint32(nil, math.Float32bits(2))
				*n.Attr("value") = onnx.Attr{Name: "value", Kind: onnx.KindTensor, T: &two}
			})})
		}
	}
	return misses
}

// otherNumbers have another constant.
func otherNumbers(m *onnx.Model) (misses []miss) {
	for i, x := range m.Graph.Initializers {
		if x.Type != onnx.Float || len(x.Raw) != 4 {
			continue
		}
		c, other := m.Clone(), *x
		v := math.Float32frombits(binary.LittleEndian.Uint32(x.Raw))
		other.Raw = binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.01*v+0.01))
		c.Graph.Initializers[i] = &other
		misses = append(misses, miss{fmt.Sprint("another constant than ", v), c})
	}
	return misses
}

// innerOutputs have one more output, each a value in between.
func innerOutputs(m *onnx.Model) (misses []miss) {
	values, err := onnx.Infer(m)
	if err != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		made := slices.ContainsFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return slices.Contains(n.Outputs, name) })
		leaves := slices.ContainsFunc(m.Graph.Outputs, func(v onnx.ValueInfo) bool { return v.Name == name })
		if made && !leaves && values[name].Type == onnx.Float {
			c := m.Clone()
			c.Graph.Outputs = append(c.Graph.Outputs, values[name])
			misses = append(misses, miss{name + " leaves", c})
		}
	}
	return misses
}
