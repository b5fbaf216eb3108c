// Package onnxtest damages graphs, so that tests can tell whether what reads files of strangers keeps its feet.
package onnxtest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"metalora/onnx"
)

// Damaged is a copy of a model in which one to three inputs, attributes, weights or nodes are not what programs write, and says which.
func Damaged(r *rand.Rand, m *onnx.Model) (damaged *onnx.Model, what string) {
	c := deep(m)
	for range 1 + r.IntN(3) {
		what += damage(r, c) + "; "
	}
	return c, what
}

// deep is a copy that shares nothing that damage changes.
func deep(m *onnx.Model) *onnx.Model {
	c := m.Clone()
	for i, n := range c.Graph.Nodes {
		n := *n
		n.Inputs, n.Outputs, n.Attrs = slices.Clone(n.Inputs), slices.Clone(n.Outputs), slices.Clone(n.Attrs)
		for j := range n.Attrs {
			n.Attrs[j].Ints = slices.Clone(n.Attrs[j].Ints)
		}
		c.Graph.Nodes[i] = &n
	}
	for i, w := range c.Graph.Initializers {
		w := *w
		w.Dims = slices.Clone(w.Dims)
		c.Graph.Initializers[i] = &w
	}
	return c
}

// damage changes one thing of a graph, and says what.
func damage(r *rand.Rand, m *onnx.Model) string {
	g := m.Graph
	if len(g.Nodes) == 0 {
		return "nothing is left"
	}
	at := r.IntN(len(g.Nodes))
	for range r.IntN(30) { // operators that are rare have more of a chance
		if op := g.Nodes[at].Op; rare(g, op) {
			break
		}
		at = r.IntN(len(g.Nodes))
	}
	n := g.Nodes[at]
	switch r.IntN(9) {
	case 0:
		g.Nodes = append(g.Nodes[:at:at], g.Nodes[at+1:]...)
		return fmt.Sprintf("without %v", n)
	case 1:
		other := g.Nodes[r.IntN(len(g.Nodes))]
		n.Op, n.Domain = other.Op, other.Domain
		return fmt.Sprintf("node %d is %s", at, n.Op)
	case 2:
		n.Outputs = n.Outputs[:r.IntN(len(n.Outputs)+1)]
		return fmt.Sprintf("%v has %d outputs", n, len(n.Outputs))
	case 3:
		return damageAttribute(r, n)
	case 4:
		return damageWeight(r, g)
	case 5:
		if len(g.Inputs)+len(g.Outputs) > 0 && r.IntN(4) == 0 {
			g.Inputs, g.Outputs = g.Inputs[:r.IntN(len(g.Inputs)+1)], g.Outputs[:r.IntN(len(g.Outputs)+1)]
		}
		return fmt.Sprintf("%d inputs, %d outputs", len(g.Inputs), len(g.Outputs))
	default:
		return damageInputs(r, g, n)
	}
}

// rare tells whether a graph has few nodes of an operator.
func rare(g *onnx.Graph, op string) bool {
	count := 0
	for _, n := range g.Nodes {
		if n.Op == op {
			count++
		}
	}
	return count <= 4
}

// damageInputs lets a node read something else, or more, or less.
func damageInputs(r *rand.Rand, g *onnx.Graph, n *onnx.Node) string {
	value := "" // an input that is absent
	if r.IntN(3) > 0 {
		if other := g.Nodes[r.IntN(len(g.Nodes))]; len(other.Outputs) > 0 {
			value = other.Outputs[0]
		}
	} else if len(g.Initializers) > 0 && r.IntN(3) > 0 {
		value = g.Initializers[r.IntN(len(g.Initializers))].Name
	}
	switch k := len(n.Inputs); {
	case k == 0 || r.IntN(4) == 0:
		n.Inputs = append(n.Inputs, value)
	case r.IntN(3) == 0:
		n.Inputs = n.Inputs[:r.IntN(k)]
	case r.IntN(3) == 0:
		n.Inputs[0], n.Inputs[k-1] = n.Inputs[k-1], n.Inputs[0]
	default:
		n.Inputs[r.IntN(k)] = value
	}
	return fmt.Sprintf("%v reads %q", n, n.Inputs)
}

// damageAttribute lets an attribute go, be of another kind or hold odd numbers.
func damageAttribute(r *rand.Rand, n *onnx.Node) string {
	if len(n.Attrs) == 0 {
		return fmt.Sprintf("%v has no attribute", n)
	}
	at := r.IntN(len(n.Attrs))
	a, odd := &n.Attrs[at], []int64{-1 << 62, -7, -1, 0, 1, 3, 1 << 40}
	switch r.IntN(5) {
	case 0:
		n.Attrs = append(n.Attrs[:at:at], n.Attrs[at+1:]...)
		return fmt.Sprintf("%v lacks an attribute", n)
	case 1:
		a.Kind = onnx.AttrKind(r.IntN(9))
	case 2:
		a.Ints = a.Ints[:r.IntN(len(a.Ints)+1)]
	case 3:
		a.Ints = append(a.Ints, odd[r.IntN(len(odd))])
	default:
		a.I, a.T = odd[r.IntN(len(odd))], nil
		for i := range a.Ints {
			a.Ints[i] = odd[r.IntN(len(odd))]
		}
	}
	return fmt.Sprintf("%v has %+v", n, *a)
}

// damageWeight gives a weight another type, size or shape.
func damageWeight(r *rand.Rand, g *onnx.Graph) string {
	if len(g.Initializers) == 0 {
		return "no weights"
	}
	w := g.Initializers[r.IntN(len(g.Initializers))]
	switch odd := []int64{-1, 0, 1, 2, 1 << 40}; r.IntN(4) {
	case 0:
		w.Type = onnx.DType(r.IntN(20))
	case 1:
		w.Raw = w.Raw[:r.IntN(len(w.Raw)+1)]
	case 2:
		w.Dims = append(w.Dims, odd[r.IntN(len(odd))])
	default:
		for i := range w.Dims {
			w.Dims[i] = odd[r.IntN(len(odd))]
		}
	}
	return fmt.Sprintf("%s is %v %v of %d bytes", w.Name, w.Type, w.Dims, len(w.Raw))
}
