package exported

import (
	"encoding/binary"
	"math"

	"metalora/onnx"
)

// constants makes initializers of Constant nodes, takes Identity and Cast to the same type out of the way, and no longer
// lets initializers be inputs: the graph then holds constants in one form.
func (r *rewriter) constants() error {
	g := r.model.Graph
	g.Values = nil // hints with the exporter's own symbols
	g.ValueExtra = nil
	fixed := map[string]bool{}
	for _, t := range g.Initializers {
		fixed[t.Name] = true
	}
	inputs := g.Inputs
	g.Inputs = nil
	for _, v := range inputs {
		if !fixed[v.Name] {
			g.Inputs = append(g.Inputs, v)
		}
	}
	r.replace(func(b *onnx.Builder, n *onnx.Node) {
		if t := constantOf(n); t != nil {
			t.Name = n.Output(0)
			g.Initializers = append(g.Initializers, t)
			return
		}
		g.Nodes = append(g.Nodes, n)
	})
	r.skip(func(n *onnx.Node) bool { return n.Op == "Identity" && n.Domain == "" })
	return nil
}

// skip removes nodes that hand their first input on unchanged. One whose output leaves the graph stays.
func (r *rewriter) skip(idle func(*onnx.Node) bool) {
	x := r.index()
	stands := map[string]string{} // by output of a removed node: the value in its place
	r.replace(func(b *onnx.Builder, n *onnx.Node) {
		c := *n
		c.Inputs = append([]string(nil), n.Inputs...)
		for i, v := range c.Inputs {
			if s, ok := stands[v]; ok {
				c.Inputs[i] = s
			}
		}
		if idle(n) && len(c.Inputs) > 0 && !x.outputs[n.Output(0)] {
			stands[n.Output(0)] = c.Inputs[0]
			return
		}
		r.model.Graph.Nodes = append(r.model.Graph.Nodes, &c)
	})
}

// constantOf is the value of a Constant node, in whichever attribute it stands.
func constantOf(n *onnx.Node) *onnx.Tensor {
	if n.Op != "Constant" || n.Domain != "" || len(n.Attrs) != 1 {
		return nil
	}
	switch a := n.Attrs[0]; a.Name {
	case "value":
		if a.T == nil {
			return nil
		}
		c := *a.T
		return &c
	case "value_float":
		return onnx.Floats(nil, a.F)
	case "value_floats":
		return onnx.Floats([]int64{int64(len(a.Floats))}, a.Floats...)
	case "value_int":
		return onnx.Int64s(nil, a.I)
	case "value_ints":
		return onnx.Int64s([]int64{int64(len(a.Ints))}, a.Ints...)
	}
	return nil
}

// floats decodes a float32 tensor.
func floats(t *onnx.Tensor) []float32 {
	xs := make([]float32, len(t.Raw)/4)
	for i := range xs {
		xs[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Raw[4*i:]))
	}
	return xs
}
