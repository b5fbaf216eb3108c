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
	if heads < 1 || w == nil || bias == nil || w.Type != onnx.Float || len(w.Dims) != 2 || len(w.Raw) == 0 || w.Dims[1]%(3*heads) != 0 || !plain(n, 4) {
		return false
	}
	mask, ok := u.mask(n, n.Input(3))
	if !ok || len(bias.Dims) != 1 || bias.Dims[0] != w.Dims[1] {
		return false
	}
	hidden := w.Dims[1] / 3
	var projected [3]string
	names, source := u.projections(n)
	for i, name := range names {
		weight := columns(w, int64(i)*hidden, hidden)
		weight.Name = u.Fresh(name + ".weight")
		u.Graph.Initializers = append(u.Graph.Initializers, weight)
		u.r.names.split(weight.Name, w.Name, source, i)
		x := u.Op("MatMul", []string{n.Input(0), weight.Name})
		projected[i] = u.Op("Add", []string{x, u.third(bias, name, source, i)})
	}
	u.attend(n, projected, heads, hidden, mask)
	return true
}

// third is one of the three parts of a merged bias, under the name of the linear layer that it belongs to.
func (u unfusing) third(merged *onnx.Tensor, layer string, source Source, i int) string {
	width := merged.Dims[0] / 3
	b := columns(merged, int64(i)*width, width)
	b.Name = u.Fresh(layer + ".bias")
	u.Graph.Initializers = append(u.Graph.Initializers, b)
	u.r.names.split(b.Name, merged.Name, source, i)
	return b.Name
}

// multiHead is attention of queries, keys and values [rows, length, hidden], which may share one merged bias.
func (u unfusing) multiHead(n *onnx.Node) bool {
	heads, bias := n.Int("num_heads", 0), u.x.constants[n.Input(3)]
	mask, ok := u.mask(n, n.Input(4))
	if heads < 1 || !ok || !plain(n, 5) || n.Input(3) != "" && (bias == nil || bias.Type != onnx.Float || len(bias.Dims) != 1 || len(bias.Raw) == 0) {
		return false
	}
	hidden := int64(0)
	for i := range 3 {
		s := u.r.info[n.Input(i)].Shape
		if len(s) != 3 || s[2].Size < 1 || i > 0 && s[2].Size != hidden {
			return false
		}
		hidden = s[2].Size
	}
	if hidden%heads != 0 || bias != nil && bias.Dims[0] != 3*hidden {
		return false
	}
	projected := [3]string{n.Input(0), n.Input(1), n.Input(2)}
	if bias != nil {
		names, source := u.projections(n)
		for i, name := range names {
			projected[i] = u.Op("Add", []string{projected[i], u.third(bias, name, source, i)})
		}
	}
	u.attend(n, projected, heads, hidden, mask)
	return true
}

// standard is ONNX's own Attention, of queries, keys and values [rows, heads, length, size] or, with the heads side by side,
// [rows, length, heads·size]. A row's query that its mask lets see nothing is of no use to an encoder, and sees all alike here.
func (u unfusing) standard(n *onnx.Node) bool {
	q := u.r.info[n.Input(0)].Shape
	mask := u.r.info[n.Input(3)]
	if !plain(n, 4) || n.Int("is_causal", 0) != 0 || n.Float("softcap", 0) != 0 || n.Input(3) != "" && mask.Type != onnx.Bool && mask.Type != onnx.Float {
		return false
	}
	added := n.Input(3)
	if added != "" && mask.Type == onnx.Bool {
		added = u.barred(added)
	}
	switch heads := n.Int("q_num_heads", 0); {
	case len(q) == 3 && heads > 0 && heads == n.Int("kv_num_heads", 0) && q[2].Size > 0 && q[2].Size%heads == 0:
		u.attend(n, [3]string{n.Input(0), n.Input(1), n.Input(2)}, heads, q[2].Size, added)
	case len(q) == 4 && q[3].Size > 0 && q[1] == u.dim(n.Input(1), 1) && q[1] == u.dim(n.Input(2), 1):
		key := u.Op("Transpose", []string{n.Input(1)}, onnx.IntsAttr("perm", 0, 1, 3, 2))
		u.weighted(n, n.Output(0), n.Input(0), key, n.Input(2), q[3].Size, added)
	default:
		return false
	}
	return true
}

// dim is a dimension of a value.
func (u unfusing) dim(v string, axis int) onnx.Dim {
	if s := u.r.info[v].Shape; axis < len(s) {
		return s[axis]
	}
	return onnx.Dim{Size: -1}
}

// barred is what is added to the scores for a mask that is true where a query may look; once for all layers that share it.
func (u unfusing) barred(mask string) string {
	if u.shared[mask] == "" {
		u.shared[mask] = u.Op("Where", []string{mask, u.Scalar(0), u.Scalar(-math.MaxFloat32)})
	}
	return u.shared[mask]
}

// attend is what an attention node gives of three projections [rows, length, hidden].
func (u unfusing) attend(n *onnx.Node, projected [3]string, heads, hidden int64, mask string) {
	split := func(i int, perm ...int64) string {
		apart := u.Op("Reshape", []string{projected[i], u.Ints(0, 0, heads, hidden/heads)})
		return u.Op("Transpose", []string{apart}, onnx.IntsAttr("perm", perm...))
	}
	query, key, value := split(0, 0, 2, 1, 3), split(1, 0, 2, 3, 1), split(2, 0, 2, 1, 3)
	context := u.weighted(n, u.Fresh("context"), query, key, value, hidden/heads, mask)
	context = u.Op("Transpose", []string{context}, onnx.IntsAttr("perm", 0, 2, 1, 3))
	u.Named(n.Output(0), "Reshape", []string{context, u.Ints(0, 0, hidden)})
}

// weighted gives the value y the name it has to have: softmax(Q Kᵀ·scale + mask) V, for keys that are transposed already.
func (u unfusing) weighted(n *onnx.Node, y, query, key, value string, size int64, mask string) string {
	scale := n.Float("scale", 0)
	if scale == 0 {
		scale = float32(1 / math.Sqrt(float64(size)))
	}
	scores := u.Op("Mul", []string{u.Op("MatMul", []string{query, key}), u.Scalar(scale)})
	if mask != "" {
		scores = u.Op("Add", []string{scores, mask})
	}
	return u.Named(y, "MatMul", []string{u.Op("Softmax", []string{scores}, onnx.IntAttr("axis", -1)), value})
}

// plain tells that an attention node does nothing but attend: no input from the given one on (past, a bias on the scores), no
// second output, no rotation, no causal mask.
func plain(n *onnx.Node, from int) bool {
	for i := from; i < len(n.Inputs); i++ {
		if n.Inputs[i] != "" {
			return false
		}
	}
	for i := 1; i < len(n.Outputs); i++ {
		if n.Outputs[i] != "" {
			return false
		}
	}
	return n.Int("unidirectional", 0) == 0 && n.Int("do_rotary", 0) == 0 && len(n.Ints("qkv_hidden_sizes")) == 0
}

// mask is what is added to the scores: [rows, 1, 1, length]. The node's mask is [rows, length] with 1 for what may be
// looked at, or [rows], the number of tokens from the left that may.
func (u unfusing) mask(n *onnx.Node, v string) (added string, ok bool) {
	if v == "" {
		return "", true
	}
	seen := v
	switch len(u.r.info[v].Shape) {
	case 1:
		length := u.Op("Gather", []string{u.Op("Shape", []string{inputIDs}), u.Int(1)})
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
