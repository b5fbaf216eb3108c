package exported

import (
	"encoding/binary"
	"math"
	"slices"

	"metalora/models/safetensors"
	"metalora/onnx"
)

// narrow tells a 16-bit float type.
func narrow(t onnx.DType) bool { return t == onnx.Float16 || t == onnx.BFloat16 }

// widen makes float32 of all 16-bit floats: weights, constants and what nodes compute. Training adds up changes that are
// lost in 16 bits; the file stays as it is.
func (r *rewriter) widen() error {
	g := r.model.Graph
	widened := false
	for i, t := range g.Initializers {
		if narrow(t.Type) {
			g.Initializers[i], widened = wide(t), true
		}
	}
	for _, list := range [][]onnx.ValueInfo{g.Inputs, g.Outputs} {
		for i := range list {
			if narrow(list[i].Type) {
				list[i].Type = onnx.Float
			}
		}
	}
	for i, n := range g.Nodes {
		g.Nodes[i] = wideNode(n)
	}
	if widened {
		r.notes = append(r.notes, "16-bit weights are widened to float32")
	}
	return nil
}

// wideNode is n where none of its attributes asks for a 16-bit float, else a copy that asks for float32.
func wideNode(n *onnx.Node) *onnx.Node {
	c := *n
	c.Attrs = slices.Clone(n.Attrs)
	for i, a := range c.Attrs {
		switch {
		case (a.Name == "to" || a.Name == "dtype") && narrow(onnx.DType(a.I)):
			c.Attrs[i].I = int64(onnx.Float)
		case a.T != nil && narrow(a.T.Type):
			c.Attrs[i].T = wide(a.T)
		}
	}
	return &c
}

func wide(t *onnx.Tensor) *onnx.Tensor {
	raw := make([]byte, 0, 2*len(t.Raw))
	for i := 0; i < len(t.Raw); i += 2 {
		bits := binary.LittleEndian.Uint16(t.Raw[i:])
		x := uint32(bits) << 16 // a bfloat16 is the upper half of a float32
		if t.Type == onnx.Float16 {
			x = math.Float32bits(safetensors.Half(bits))
		}
		raw = binary.LittleEndian.AppendUint32(raw, x)
	}
	c := *t
	c.Type, c.Raw = onnx.Float, raw
	return &c
}
