package exported

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"metalora/onnx"
)

// attention is self-attention whose projections are one matrix [in, 3·hidden]. It is written as three linear layers, whose
// weights get names of their own, and softmax(Q Kᵀ/√d + mask) V.
func (u unfusing) attention(n *onnx.Node) bool {
	heads := n.Int("num_heads", 0)
	w, bias := u.x.constants[n.Input(1)], u.x.constants[n.Input(2)]
	if heads < 1 || w == nil || bias == nil || w.Type != onnx.Float || len(w.Dims) != 2 || len(w.Raw) == 0 || w.Dims[1]%(3*heads) != 0 || !plain(n) {
		return false
	}
	mask, ok := u.mask(n)
	if !ok || len(bias.Dims) != 1 || bias.Dims[0] != w.Dims[1] {
		return false
	}
	hidden := w.Dims[1] / 3
	var projected [3]string
	names, source := u.projections(n)
	for i, name := range names {
		weight, b := columns(w, int64(i)*hidden, hidden), columns(bias, int64(i)*hidden, hidden)
		weight.Name, b.Name = u.Fresh(name+".weight"), u.Fresh(name+".bias")
		u.Graph.Initializers = append(u.Graph.Initializers, weight, b)
		u.r.names.split(weight.Name, w.Name, source, i)
		u.r.names.split(b.Name, bias.Name, source, i)
		x := u.Op("MatMul", []string{n.Input(0), weight.Name})
		projected[i] = u.Op("Reshape", []string{u.Op("Add", []string{x, b.Name}), u.Ints(0, 0, heads, hidden/heads)})
	}
	query := u.Op("Transpose", []string{projected[0]}, onnx.IntsAttr("perm", 0, 2, 1, 3))
	key := u.Op("Transpose", []string{projected[1]}, onnx.IntsAttr("perm", 0, 2, 3, 1))
	value := u.Op("Transpose", []string{projected[2]}, onnx.IntsAttr("perm", 0, 2, 1, 3))
	scale := n.Float("scale", 0)
	if scale == 0 {
		scale = float32(1 / math.Sqrt(float64(hidden/heads)))
	}
	scores := u.Op("Mul", []string{u.Op("MatMul", []string{query, key}), u.Scalar(scale)})
	if mask != "" {
		scores = u.Op("Add", []string{scores, mask})
	}
	context := u.Op("MatMul", []string{u.Op("Softmax", []string{scores}, onnx.IntAttr("axis", -1)), value})
	context = u.Op("Transpose", []string{context}, onnx.IntsAttr("perm", 0, 2, 1, 3))
	u.Named(n.Output(0), "Reshape", []string{context, u.Ints(0, 0, hidden)})
	return true
}

// plain tells that an Attention node does nothing but attend: no past, no bias on the scores, no rotation, no causal mask.
func plain(n *onnx.Node) bool {
	for i := 4; i < len(n.Inputs); i++ {
		if n.Inputs[i] != "" {
			return false
		}
	}
	return n.Output(1) == "" && n.Int("unidirectional", 0) == 0 && n.Int("do_rotary", 0) == 0 && len(n.Ints("qkv_hidden_sizes")) == 0
}

// mask is what is added to the scores: [rows, 1, 1, length]. The node's mask is [rows, length] with 1 for what may be
// looked at, or [rows], the number of tokens from the left that may.
func (u unfusing) mask(n *onnx.Node) (added string, ok bool) {
	v := n.Input(3)
	if v == "" {
		return "", true
	}
	seen := v
	switch len(u.r.info[v].Shape) {
	case 1:
		length := u.Op("Gather", []string{u.Op("Shape", []string{n.Input(0)}), u.Int(1)})
		count := u.Op("Cast", []string{u.Op("Unsqueeze", []string{v, u.Ints(1)})}, onnx.IntAttr("to", int64(onnx.Int64)))
		seen = u.Op("Less", []string{u.Op("Range", []string{u.Int(0), length, u.Int(1)}), count})
	case 2:
	default:
		return "", false
	}
	if d := u.r.info[v].Shape[0]; d.Name != "rows" {
		return "", false // one for the ends of the rows and one for their starts, or something else again
	}
	kept := u.Op("Cast", []string{u.Op("Unsqueeze", []string{seen, u.Ints(1, 2)})}, onnx.IntAttr("to", int64(onnx.Float)))
	hidden := u.Op("Sub", []string{u.Scalar(1), kept})
	return u.Op("Mul", []string{hidden, u.Scalar(n.Float("mask_filter_value", -10000))}), true
}

// projections names the three linear layers by the one that reads what the node computes, or else by the node's place.
func (u unfusing) projections(n *onnx.Node) (names [3]string, source Source) {
	if out, ok := u.after(n.Output(0)); ok {
		if module, ok := strings.CutSuffix(out, ".out_lin"); ok { // DistilBERT
			return [3]string{module + ".q_lin", module + ".k_lin", module + ".v_lin"}, FromBias
		}
		if module, ok := strings.CutSuffix(out, ".output.dense"); ok {
			module += ".self"
			return [3]string{module + ".query", module + ".key", module + ".value"}, FromBias
		}
	}
	module, source := moduleOf(n)
	if module == "" {
		module, source = strings.ReplaceAll(n.Output(0), "/", "."), Unknown
	}
	return [3]string{module + ".query", module + ".key", module + ".value"}, source
}

// after is the linear layer that reads v, by the name of its bias.
func (u unfusing) after(v string) (module string, ok bool) {
	product := u.x.reader(v, "MatMul")
	if product == nil || len(u.x.readers[product.Output(0)]) != 1 {
		return "", false
	}
	bias := ""
	switch add := u.x.readers[product.Output(0)][0]; add.Op {
	case "Add":
		bias, _ = other(add, product.Output(0))
	case "SkipLayerNormalization":
		bias = add.Input(4)
	}
	module, ok = strings.CutSuffix(bias, ".bias")
	return module, ok && named(bias)
}

// columns takes count columns of a float32 matrix, or elements of a vector.
func columns(t *onnx.Tensor, from, count int64) *onnx.Tensor {
	width := t.Dims[len(t.Dims)-1]
	c := &onnx.Tensor{Type: onnx.Float, Dims: append([]int64(nil), t.Dims...)}
	c.Dims[len(c.Dims)-1] = count
	for row := int64(0); (row+1)*width*4 <= int64(len(t.Raw)); row++ {
		c.Raw = append(c.Raw, t.Raw[4*(row*width+from):4*(row*width+from+count)]...)
	}
	return c
}

// transposed is a float32 matrix the other way round.
func transposed(t *onnx.Tensor) []float32 {
	rows, cols := int(t.Dims[0]), int(t.Dims[1])
	xs := make([]float32, rows*cols)
	for i := range rows {
		for j := range cols {
			xs[j*rows+i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Raw[4*(i*cols+j):]))
		}
	}
	return xs
}

// part says which of a merged matrix's three thirds a weight is.
func part(i int) string { return fmt.Sprintf("[…, %d of 3]", i+1) }
