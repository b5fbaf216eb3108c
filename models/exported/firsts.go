package exported

import (
	"slices"

	"metalora/onnx"
)

// whole is the demand for all of a value; any other demand is an axis along which only the first element is wanted.
const whole = -1

// firsts shrinks what only a row's first token is read of. A head picks that token out of what the last layer gives, so of
// that layer everything but keys and values is computed for rows tokens instead of rows·length, to the same numbers.
//
// It walks back from the outputs and notes what each value is wanted for: all of it, or the first along one axis. A node
// of which the first is wanted, and which treats tokens apart, wants the first of its inputs. Where a value is wanted whole
// elsewhere too, its first is cut out of it.
func (r *rewriter) firsts() error {
	if err := r.infer(); err != nil {
		return err
	}
	f := &firstTokens{r: r, x: r.index(), demand: map[string]int{}, passes: map[*onnx.Node][]int{}, cuts: map[place]string{}}
	for _, o := range r.model.Graph.Outputs {
		f.demand[o.Name] = whole
	}
	for _, n := range slices.Backward(r.model.Graph.Nodes) {
		f.visit(n)
	}
	r.replace(f.write)
	return nil
}

// firstTokens is the pass under way.
type firstTokens struct {
	r      *rewriter
	x      *index
	demand map[string]int
	passes map[*onnx.Node][]int // what a node that shrinks wants of each input
	cuts   map[place]string     // the first of values that are wanted whole, too
}

// place is an axis of a value.
type place struct {
	value string
	axis  int
}

// visit hands the demand for a node's output on to its inputs.
func (f *firstTokens) visit(n *onnx.Node) {
	axis, wanted := whole, false
	for _, o := range n.Outputs {
		if a, ok := f.demand[o]; ok {
			axis, wanted = a, true
		}
	}
	if !wanted {
		return
	}
	var wants []int
	switch {
	case axis == whole && f.picks(n):
		wants = f.only(n, 0, 1)
	case axis != whole && len(n.Outputs) == 1 && n.Domain == "":
		wants = f.wants(n, axis)
	}
	if wants == nil {
		wants = slices.Repeat([]int{whole}, len(n.Inputs))
		for _, o := range n.Outputs {
			f.demand[o] = whole
		}
	} else if axis != whole {
		f.passes[n] = wants
	}
	for i, v := range n.Inputs {
		if before, ok := f.demand[v]; ok && before != wants[i] || f.x.makers[v] == nil {
			f.demand[v] = whole
		} else {
			f.demand[v] = wants[i]
		}
	}
}

// picks tells whether a node reads the first token of each row of [rows, length, …].
func (f *firstTokens) picks(n *onnx.Node) bool {
	index := f.x.constants[n.Input(1)]
	return n.Op == "Gather" && n.Domain == "" && n.Int("axis", 0) == 1 && isToken(f.shape(n.Input(0)), 1) &&
		index != nil && len(index.Dims) == 0 && !slices.ContainsFunc(index.Raw, func(b byte) bool { return b != 0 })
}

func (f *firstTokens) shape(v string) onnx.Shape { return f.r.info[v].Shape }

// isToken tells whether an axis of a value counts the tokens of a row.
func isToken(s onnx.Shape, axis int) bool { return axis < len(s) && s[axis].Name == "length" }

// isFlat tells whether the first axis counts the tokens of all rows.
func isFlat(s onnx.Shape) bool { return len(s) > 0 && s[0].Name == "length*rows" }

// apart are the operators that compute each element from those at its own place.
var apart = []string{"Add", "Sub", "Mul", "Div", "Pow", "Where", "Gelu", "Erf", "Tanh", "Relu", "Sigmoid", "Sqrt", "Exp",
	"Neg", "Abs", "Max", "Min", "Identity", "Cast", "IsNaN", "Not", "Clip", "LeakyRelu", "Elu", "HardSigmoid"}

// wants says what a node wants of each input when the first of its output along axis is wanted; nil: it needs all.
func (f *firstTokens) wants(n *onnx.Node, axis int) []int {
	rank := len(f.shape(n.Output(0)))
	if rank == 0 {
		return nil
	}
	last := int(n.Int("axis", -1)) == -1 || int(n.Int("axis", -1)) == rank-1
	switch n.Op {
	case "Gemm":
		if n.Int("transA", 0) == 0 && axis == 0 && len(f.shape(n.Input(2))) < 2 {
			return f.only(n, 0, axis)
		}
	case "MatMul":
		if axis == rank-2 && len(f.shape(n.Input(0))) == rank {
			return f.only(n, 0, axis)
		}
	case "Softmax", "LayerNormalization":
		if last && axis != rank-1 {
			return f.only(n, 0, axis)
		}
	case "Transpose":
		if perm := n.Ints("perm"); len(perm) == rank {
			return f.only(n, 0, int(perm[axis]))
		}
	case "Reshape":
		if from := f.reshaped(n, axis); from >= 0 {
			return f.only(n, 0, from)
		}
	default:
		if slices.Contains(apart, n.Op) {
			return f.aligned(n, axis, rank)
		}
	}
	return nil
}

// only wants the first of one input and all of the others.
func (f *firstTokens) only(n *onnx.Node, input, axis int) []int {
	wants := slices.Repeat([]int{whole}, len(n.Inputs))
	wants[input] = axis
	return wants
}

// aligned wants the first of each input that has the axis; one that is repeated along it is wanted whole.
func (f *firstTokens) aligned(n *onnx.Node, axis, rank int) []int {
	wants := slices.Repeat([]int{whole}, len(n.Inputs))
	for i, v := range n.Inputs {
		s := f.shape(v)
		if v != "" && s == nil {
			return nil
		}
		if at := axis - (rank - len(s)); at >= 0 && s[at].Size != 1 {
			wants[i] = at
		}
	}
	return wants
}

// reshaped finds the axis of a Reshape's input that is axis of its output, both counting tokens, of one row or of all;
// what stands behind it must have as many elements before and after. -1: there is none.
func (f *firstTokens) reshaped(n *onnx.Node, axis int) int {
	in, out := f.shape(n.Input(0)), f.shape(n.Output(0))
	if !isFlat(out) && !isToken(out, 1) || axis != start(out) || !isFlat(in) && !isToken(in, 1) {
		return -1
	}
	if a, b := elements(in[start(in)+1:]), elements(out[start(out)+1:]); a < 0 || a != b {
		return -1
	}
	return start(in)
}

// start is the axis of tokens: 0 for [tokens, …], 1 for [rows, length, …].
func start(s onnx.Shape) int {
	if isFlat(s) {
		return 0
	}
	return 1
}

// elements multiplies sizes; -1: one is not known.
func elements(s onnx.Shape) int64 {
	product := int64(1)
	for _, d := range s {
		if d.Size < 0 {
			return -1
		}
		product *= d.Size
	}
	return product
}

// write appends a node, on the first tokens where that is all that is wanted of it.
func (f *firstTokens) write(b *onnx.Builder, n *onnx.Node) {
	wants := f.passes[n]
	if wants == nil {
		b.Graph.Nodes = append(b.Graph.Nodes, n)
		return
	}
	c := *n
	c.Inputs = slices.Clone(n.Inputs)
	for i, axis := range wants {
		if axis != whole && f.demand[n.Input(i)] == whole {
			c.Inputs[i] = f.cut(b, n.Input(i), axis)
		}
	}
	if n.Op == "Reshape" {
		c.Inputs[1] = b.Ints(f.sizes(n.Output(0))...)
		c.Attrs = nil
	}
	b.Graph.Nodes = append(b.Graph.Nodes, &c)
}

// cut is the first element of a whole value along an axis.
func (f *firstTokens) cut(b *onnx.Builder, v string, axis int) string {
	at := place{v, axis}
	if f.cuts[at] != "" {
		return f.cuts[at]
	}
	s := f.shape(v)
	if axis == 0 && isFlat(s) {
		shape := b.Op("Concat", []string{b.Op("Shape", []string{inputIDs}), b.Ints(tailOf(s[1:])...)}, onnx.IntAttr("axis", 0))
		rows := b.Op("Reshape", []string{v, shape})
		f.cuts[at] = b.Op("Squeeze", []string{b.Op("Slice", []string{rows, b.Ints(0), b.Ints(1), b.Ints(1)}), b.Ints(1)})
	} else {
		f.cuts[at] = b.Op("Slice", []string{v, b.Ints(0), b.Ints(1), b.Ints(int64(axis))})
	}
	return f.cuts[at]
}

// sizes are what a Reshape that gives v asks for once v has but the first token of each row.
func (f *firstTokens) sizes(v string) []int64 {
	s := f.shape(v)
	if isFlat(s) {
		return append([]int64{-1}, tailOf(s[1:])...)
	}
	return append([]int64{-1, 1}, tailOf(s[2:])...)
}

func tailOf(s onnx.Shape) []int64 {
	sizes := make([]int64, len(s))
	for i, d := range s {
		sizes[i] = d.Size
	}
	return sizes
}
