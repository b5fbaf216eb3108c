package exported

import (
	"encoding/binary"
	"fmt"
	"slices"

	"metalora/onnx"
)

// layer is a linear layer of the graph: y = x Wᵀ + b.
type layer struct {
	x, y       string
	weight     string // the constant: [out, in], or [in, out] where transposed
	bias       string // a constant [out]; empty: none
	transposed bool
	in, out    int64
	node       *onnx.Node // whose place in the model names the layer where the bias does not
	shares     bool       // other nodes read the bias, too: exporters keep equal tensors once, under the name of the first
}

// linears writes each linear layer as one Gemm over [tokens, in] with the weight [out, in], as metalora's own graphs have
// it: adapters find it there, and its gradients are single products.
func (r *rewriter) linears() error {
	if err := r.infer(); err != nil {
		return err
	}
	found, swallowed := map[string]layer{}, map[*onnx.Node]bool{} // by output; products whose sum with the bias is the layer
	x := r.index()
	r.names.known = x.constants
	for _, l := range r.layers() {
		l.shares = len(x.readers[l.bias]) > 1
		r.names.layer(l)
		found[l.y] = l
		swallowed[l.node] = l.y != l.node.Output(0)
	}
	w := &linearWriter{r: r, flat: map[string]string{}, tails: map[int64]string{}}
	w.ids = slices.ContainsFunc(r.model.Graph.Inputs, func(v onnx.ValueInfo) bool { return v.Name == inputIDs })
	r.replace(func(b *onnx.Builder, n *onnx.Node) {
		l, ok := found[n.Output(0)]
		switch {
		case ok:
			w.write(b, l)
		case !swallowed[n]:
			b.Graph.Nodes = append(b.Graph.Nodes, n)
		}
	})
	return nil
}

// layers finds the linear layers whose weight has one layout wherever it is read; one that is also a table, say, is no
// linear layer's alone.
func (r *rewriter) layers() []layer {
	x := r.index()
	var all []layer
	uses := map[string]int{}
	layout := map[string]bool{}
	mixed := map[string]bool{}
	for _, n := range r.model.Graph.Nodes {
		l, ok := r.linear(x, n)
		if !ok {
			continue
		}
		all = append(all, l)
		before, seen := layout[l.weight]
		mixed[l.weight] = mixed[l.weight] || seen && before != l.transposed
		layout[l.weight] = l.transposed
		uses[l.weight]++
	}
	return slices.DeleteFunc(all, func(l layer) bool { return mixed[l.weight] || uses[l.weight] != x.reads(l.weight) })
}

// reads counts the nodes that read a constant, a Transpose of it counting as its readers.
func (x *index) reads(constant string) (n int) {
	for _, reader := range x.readers[constant] {
		if reader.Op == "Transpose" {
			n += len(x.readers[reader.Output(0)])
		} else {
			n++
		}
	}
	return n
}

// linear recognises MatMul, with or without the sum with a bias behind it, and Gemm.
func (r *rewriter) linear(x *index, n *onnx.Node) (l layer, ok bool) {
	if n.Domain != "" || n.Op != "MatMul" && n.Op != "Gemm" || r.info[n.Input(0)].Type != onnx.Float {
		return l, false
	}
	l = layer{x: n.Input(0), y: n.Output(0), weight: n.Input(1), transposed: n.Int("transB", 0) == 0, node: n}
	if t := x.maker(l.weight, "Transpose"); t != nil {
		l.weight, l.transposed = t.Input(0), !l.transposed
	}
	w := x.constants[l.weight]
	if w == nil || w.Type != onnx.Float || len(w.Dims) != 2 || len(r.info[l.x].Shape) < 2 {
		return l, false
	}
	l.out, l.in = w.Dims[0], w.Dims[1]
	if l.transposed {
		l.out, l.in = l.in, l.out
	}
	if n.Op == "Gemm" && n.Input(2) != "" {
		l.bias = n.Input(2)
		return l, n.Int("transA", 0) == 0 && n.Float("alpha", 1) == 1 && n.Float("beta", 1) == 1 && x.vector(l.bias, l.out)
	}
	if add := x.reader(l.y, "Add"); add != nil {
		if bias, _ := other(add, l.y); x.vector(bias, l.out) {
			l.y, l.bias = add.Output(0), bias
		}
	}
	return l, n.Int("transA", 0) == 0 && n.Float("alpha", 1) == 1
}

// linearWriter writes linear layers and keeps what several of them share.
type linearWriter struct {
	r     *rewriter
	flat  map[string]string // by value: the same as [tokens, width]
	ids   bool              // the graph reads input_ids
	rows  string            // their shape
	tails map[int64]string  // by width: the shape [rows, length, width]
}

func (w *linearWriter) write(b *onnx.Builder, l layer) {
	shape := w.r.info[l.x].Shape
	op, inputs, attrs := "Gemm", []string{w.flatten(b, l.x, l.in, len(shape)), l.weight}, []onnx.Attr{onnx.IntAttr("transB", 1)}
	if l.bias != "" { // apart: the engine fills a Gemm's result with its addend on one thread
		op, inputs, attrs = "Add", []string{b.Op(op, inputs, attrs...), l.bias}, nil
	}
	if len(shape) == 2 {
		b.Named(l.y, op, inputs, attrs...)
		return
	}
	b.Named(l.y, "Reshape", []string{b.Op(op, inputs, attrs...), w.target(b, l, shape)})
}

// flatten makes [tokens, width] of [rows, length, width], once for all layers that read it.
func (w *linearWriter) flatten(b *onnx.Builder, v string, width int64, rank int) string {
	if rank == 2 {
		return v
	}
	if w.flat[v] == "" {
		w.flat[v] = b.Op("Reshape", []string{v, b.Ints(-1, width)})
	}
	return w.flat[v]
}

// target is the shape that a layer's output has in the graph: that of x, with another last dimension.
func (w *linearWriter) target(b *onnx.Builder, l layer, shape onnx.Shape) string {
	if !w.ids || len(shape) != 3 || shape[0].Name != "rows" || shape[1].Name != "length" {
		leading := b.Op("Slice", []string{b.Op("Shape", []string{l.x}), b.Ints(0), b.Ints(int64(len(shape) - 1))})
		return b.Op("Concat", []string{leading, b.Ints(l.out)}, onnx.IntAttr("axis", 0))
	}
	if w.rows == "" {
		w.rows = b.Op("Shape", []string{inputIDs})
	}
	if w.tails[l.out] == "" {
		w.tails[l.out] = b.Op("Concat", []string{w.rows, b.Ints(l.out)}, onnx.IntAttr("axis", 0))
	}
	return w.tails[l.out]
}

// ints decodes an int64 tensor.
func ints(t *onnx.Tensor) []int64 {
	xs := make([]int64, len(t.Raw)/8)
	for i := range xs {
		xs[i] = int64(binary.LittleEndian.Uint64(t.Raw[8*i:]))
	}
	return xs
}

// asInts is a tensor's shape in safetensors' terms.
func asInts(dims []int64) ([]int, error) {
	shape := make([]int, len(dims))
	for i, d := range dims {
		if shape[i] = int(d); int64(shape[i]) != d {
			return nil, fmt.Errorf("dimension %d is too large", d)
		}
	}
	return shape, nil
}
