package autodiff

import (
	"fmt"
	"slices"

	"metalora/onnx"
)

// value is the name of a value of the graph.
type value = string

// builder appends gradient nodes to a graph. Asked for the same operator on the same inputs twice, it returns the same
// value, so that rules can be written as formulas, one an input, without a thought for what they have in common.
type builder struct {
	model      *onnx.Model
	out        *onnx.Builder
	forward    int // how many nodes the graph had before
	before     int // how many initialisers
	info       map[value]onnx.ValueInfo
	position   map[*onnx.Node]int     // where the model's own nodes stand
	producers  map[value]*onnx.Node   // of the values that the model's own nodes make
	constants  map[value]*onnx.Tensor // initialisers that no input can override
	facts      *onnx.Facts
	vectors    map[value][]int64    // appended constants
	symbols    map[string]dimension // where the graph's inputs have a symbolic dimension
	made       map[string]value     // what was appended, by operator and inputs
	tables     map[value]bool       // whose gradient leaves as rows
	lookups    map[value][]lookup   // what was read of each table
	dtype      onnx.DType           // of the constants in the formula at hand
	blockers   []Blocker
	cotangents map[value][]value // contributions of the nodes visited so far
}

// dimension is one axis of a graph input.
type dimension struct {
	input value
	axis  int64
}

// newBuilder prepares m, which it changes, for appending.
func newBuilder(m *onnx.Model, facts *onnx.Facts) *builder {
	g := m.Graph
	b := &builder{
		model: m, out: onnx.NewBuilder(g), forward: len(g.Nodes), before: len(g.Initializers), info: facts.Values, facts: facts,
		position: map[*onnx.Node]int{}, producers: map[value]*onnx.Node{}, constants: map[value]*onnx.Tensor{},
		symbols: map[string]dimension{}, vectors: map[value][]int64{}, made: map[string]value{},
		tables: map[value]bool{}, lookups: map[value][]lookup{}, cotangents: map[value][]value{},
	}
	for i, n := range g.Nodes {
		b.position[n] = i
		for _, o := range n.Outputs {
			b.producers[o] = n
		}
	}
	for _, t := range g.Initializers {
		b.constants[t.Name] = t
	}
	for _, in := range g.Inputs {
		delete(b.constants, in.Name)
		for i, d := range b.info[in.Name].Shape {
			if _, known := b.symbols[d.Name]; d.Name != "" && !known {
				b.symbols[d.Name] = dimension{in.Name, int64(i)}
			}
		}
	}
	return b
}

// exists reports whether the model has a value of this name.
func (b *builder) exists(v value) bool {
	if _, made := b.producers[v]; made && v != "" {
		return true
	}
	return b.isInput(v) || slices.ContainsFunc(b.model.Graph.Initializers, func(t *onnx.Tensor) bool { return t.Name == v })
}

// isInput reports whether v is an input of the graph.
func (b *builder) isInput(v value) bool {
	return slices.ContainsFunc(b.model.Graph.Inputs, func(in onnx.ValueInfo) bool { return in.Name == v })
}

// carriesGradient reports whether v is of a float type, or of one that is not known.
func (b *builder) carriesGradient(v value) bool {
	t := b.info[v].Type
	return t == onnx.Undefined || t.IsFloat()
}

// op appends an operator of ONNX's own set that has only inputs.
func (b *builder) op(name string, inputs ...value) value { return b.with(name, inputs) }

// with appends an operator that has attributes.
func (b *builder) with(name string, inputs []value, attrs ...onnx.Attr) value {
	return b.node("", name, inputs, attrs...)
}

// node appends an operator with one output, or returns what an equal one made before.
func (b *builder) node(domain, name string, inputs []value, attrs ...onnx.Attr) value {
	key := fmt.Sprintf("%s|%s|%q", domain, name, inputs)
	for _, a := range attrs {
		if a.T != nil {
			key += fmt.Sprintf("|%s=%v%v%v", a.Name, a.T.Type, a.T.Dims, a.T.Raw)
			continue
		}
		key += fmt.Sprintf("|%+v", a)
	}
	v, ok := b.made[key]
	if !ok {
		v = b.out.Node(domain, name, inputs, 1, attrs...)[0]
		b.made[key] = v
	}
	return v
}

// appended reports whether v is made by a node that was appended.
func (b *builder) appended(v value) bool {
	for _, n := range b.model.Graph.Nodes[b.forward:] {
		if slices.Contains(n.Outputs, v) {
			return true
		}
	}
	return false
}

// extraOutput names output i of one of the model's own nodes, adding it to a copy of the node where it was not asked for.
func (b *builder) extraOutput(n *onnx.Node, i int) value {
	at := &b.model.Graph.Nodes[b.position[n]]
	if o := (*at).Output(i); o != "" {
		return o
	}
	c := **at
	c.Outputs = append(slices.Clone(c.Outputs), make([]string, max(0, i+1-len(c.Outputs)))...)
	c.Outputs[i] = b.out.Fresh(fmt.Sprintf("output%d", i))
	*at = &c
	return c.Outputs[i]
}
