package onnx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Count is the work of one run of a model as its graph tells it, before the engine itself fuses anything.
type Count struct {
	Nodes       int   `json:"nodes"`
	Flops       int64 `json:"flops"`       // of the matrix products, 2·m·n·k each
	Weights     int64 `json:"weights"`     // bytes that operators read of inputs and initialisers of fixed shape
	Activations int64 `json:"activations"` // bytes of everything else that operators read and write
	Unknown     int   `json:"unknown"`     // nodes with a value of unknown shape, which counts no bytes
}

// Add is both counts together.
func (c Count) Add(d Count) Count {
	return Count{c.Nodes + d.Nodes, c.Flops + d.Flops, c.Weights + d.Weights, c.Activations + d.Activations, c.Unknown + d.Unknown}
}

// CountWork counts a run where the symbols of the inputs' shapes have the given sizes.
func CountWork(m *Model, sizes map[string]int64) (Count, error) {
	values, err := inferAt(m, sizes)
	if err != nil {
		return Count{}, fmt.Errorf("counting operations: %w", err)
	}
	fixed := map[string]bool{}
	for _, t := range m.Graph.Initializers {
		fixed[t.Name] = true
	}
	for _, v := range m.Graph.Inputs {
		fixed[v.Name] = !slices.ContainsFunc(v.Shape, func(d Dim) bool { return d.Size < 0 })
	}
	c := Count{Nodes: len(m.Graph.Nodes)}
	for _, n := range m.Graph.Nodes {
		flops, err := NodeFlops(n, values)
		if err != nil {
			return Count{}, fmt.Errorf("counting operations: %w", err)
		}
		c.Flops += flops
		c.traffic(n, values, fixed)
	}
	return c, nil
}

// Flops counts the floating-point operations of a model's matrix products, 2·m·n·k each, where the symbols of its
// inputs' shapes have the given sizes. Everything else a graph computes is small beside them and is not counted. A graph
// with operators of package kernels counts what the plain one does (see [NodeFlops]).
func Flops(m *Model, sizes map[string]int64) (int64, error) {
	c, err := CountWork(m, sizes)
	return c.Flops, err
}

// inferAt is the types and shapes of a model's values where symbols have sizes; values of unknown rank are left out.
func inferAt(m *Model, sizes map[string]int64) (map[string]ValueInfo, error) {
	fixed := m.Clone()
	for i, v := range fixed.Graph.Inputs {
		fixed.Graph.Inputs[i].Shape = fix(v.Shape, sizes)
	}
	fixed.Graph.Outputs = nil
	fixed.Metadata = map[string]string{}
	values, err := Infer(fixed)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(values, func(_ string, v ValueInfo) bool { return v.Shape == nil })
	return values, nil
}

// fix gives symbols their sizes, products of symbols included.
func fix(s Shape, sizes map[string]int64) Shape {
	fixed := slices.Clone(s)
	for i, d := range s {
		size := int64(1)
		for factor := range strings.SplitSeq(d.Name, "*") {
			n, ok := sizes[factor]
			if !ok {
				size = -1
				break
			}
			size *= n
		}
		if d.Size < 0 && size >= 0 {
			fixed[i] = Dim{Size: size}
		}
	}
	return fixed
}

// views hand their first input on as it lies, or read no more of it than its shape.
var views = []string{"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape", "Size", "ConstantOfShape"}

// pickers read of their first input no more than they write.
var pickers = []string{"Gather", "Slice"}

// traffic adds the bytes that a node reads and writes.
func (c *Count) traffic(n *Node, values map[string]ValueInfo, fixed map[string]bool) {
	if n.Domain == "" && slices.Contains(views, n.Op) {
		return
	}
	before, known := *c, true
	add := func(name string, like string) {
		size, ok := bytesOf(values, like)
		known = known && ok
		if fixed[name] {
			c.Weights += size
		} else {
			c.Activations += size
		}
	}
	for i, name := range n.Inputs {
		switch {
		case name == "":
		case i == 0 && n.Domain == "" && slices.Contains(pickers, n.Op):
			add(name, n.Output(0))
		default:
			add(name, name)
		}
	}
	for _, name := range n.Outputs {
		if name != "" {
			add(name, name)
		}
	}
	if !known {
		*c = before
		c.Unknown++
	}
}

// bytesOf is how many bytes a value's elements take.
func bytesOf(values map[string]ValueInfo, name string) (int64, bool) {
	v, ok := values[name]
	if !ok || v.Type.Size() == 0 {
		return 0, false
	}
	size := int64(v.Type.Size())
	for _, d := range v.Shape {
		if d.Size < 0 {
			return 0, false
		}
		size *= d.Size
	}
	return size, true
}
