package exported

import (
	"slices"

	"metalora/onnx"
)

// rewriter holds a graph between two passes.
type rewriter struct {
	model *onnx.Model
	info  map[string]onnx.ValueInfo // what Infer says, where a pass asked for it
	names naming
	notes []string
	drawn []string // weights of a head that the file lacks
}

// index is what a pass asks of a graph again and again.
type index struct {
	constants map[string]*onnx.Tensor
	makers    map[string]*onnx.Node   // by output
	readers   map[string][]*onnx.Node // by input; a node that reads a value twice is there twice
	outputs   map[string]bool         // of the graph
}

func (r *rewriter) index() *index {
	g := r.model.Graph
	x := &index{map[string]*onnx.Tensor{}, map[string]*onnx.Node{}, map[string][]*onnx.Node{}, map[string]bool{}}
	for _, t := range g.Initializers {
		x.constants[t.Name] = t
	}
	for _, o := range g.Outputs {
		x.outputs[o.Name] = true
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outputs {
			if o != "" { // an output that nobody wants
				x.makers[o] = n
			}
		}
		for _, i := range n.Inputs {
			x.readers[i] = append(x.readers[i], n)
		}
	}
	return x
}

// maker is the node of ONNX's own operator op that computes v, or nil.
func (x *index) maker(v, op string) *onnx.Node {
	if n := x.makers[v]; n != nil && n.Op == op && n.Domain == "" {
		return n
	}
	return nil
}

// reader is the only node that reads v, if it is of operator op and v does not leave the graph; else nil.
func (x *index) reader(v, op string) *onnx.Node {
	if r := x.readers[v]; len(r) == 1 && r[0].Op == op && r[0].Domain == "" && !x.outputs[v] {
		return r[0]
	}
	return nil
}

// scalar is the value of a float32 constant of one element.
func (x *index) scalar(v string) (float32, bool) {
	t := x.constants[v]
	if t == nil || t.Type != onnx.Float || len(t.Raw) != 4 {
		return 0, false
	}
	return floats(t)[0], true
}

// vector tells whether v is a float32 constant with one dimension of the given size; -1: any.
func (x *index) vector(v string, size int64) bool {
	t := x.constants[v]
	return t != nil && t.Type == onnx.Float && len(t.Dims) == 1 && (size < 0 || t.Dims[0] == size)
}

// uncast is the graph input that v is a copy of in another integer type, or v.
func (x *index) uncast(v string) string {
	if n := x.maker(v, "Cast"); n != nil && x.makers[n.Input(0)] == nil && x.constants[n.Input(0)] == nil {
		return n.Input(0)
	}
	return v
}

// origin is what v holds the elements of, in another shape or integer type.
func (x *index) origin(v string) string {
	for n := x.makers[v]; n != nil && slices.Contains([]string{"Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}, n.Op); n = x.makers[v] {
		v = n.Input(0)
	}
	return v
}

// other is the input of a two-input node that is not v, and whether v is one.
func other(n *onnx.Node, v string) (string, bool) {
	switch {
	case n.Input(0) == v:
		return n.Input(1), true
	case n.Input(1) == v:
		return n.Input(0), true
	}
	return "", false
}

// replace gives every node to f, which appends what is to stand for it; b appends to the new list. Nodes that f does not
// want changed it appends itself.
func (r *rewriter) replace(f func(b *onnx.Builder, n *onnx.Node)) {
	g := r.model.Graph
	nodes := g.Nodes
	g.Nodes = nil
	b := onnx.NewBuilder(g)
	b.Reserve(nodes)
	for _, n := range nodes {
		f(b, n)
	}
}

// prune removes nodes and constants that no output depends on.
func (r *rewriter) prune() error {
	g := r.model.Graph
	needed := map[string]bool{}
	for _, o := range g.Outputs {
		needed[o.Name] = true
	}
	var kept []*onnx.Node
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(o string) bool { return o != "" && needed[o] }) {
			continue
		}
		for _, i := range n.Inputs {
			needed[i] = true
		}
		kept = append(kept, n)
	}
	slices.Reverse(kept)
	g.Nodes = kept
	g.Initializers = slices.DeleteFunc(g.Initializers, func(t *onnx.Tensor) bool { return !needed[t.Name] })
	return nil
}

// infer finds the shapes of the graph as it is now.
func (r *rewriter) infer() error {
	info, err := onnx.Infer(r.model)
	r.info = info
	return err
}
