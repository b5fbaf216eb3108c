package kernels

import (
	"slices"

	"metalora/onnx"
)

// lowering is a graph in which nodes are being replaced.
type lowering struct {
	graph    *onnx.Graph
	facts    *onnx.Facts
	inputs   map[string]bool // values that whoever runs the graph may set
	outputs  map[string]bool // values that leave the graph
	told     map[string]bool // values of which the model itself says the shape
	makers   map[string]*onnx.Node
	readers  map[string][]*onnx.Node // once for each input that reads the value
	gone     map[*onnx.Node]bool
	replaced bool
}

func newLowering(g *onnx.Graph, facts *onnx.Facts) *lowering {
	l := &lowering{graph: g, facts: facts, inputs: map[string]bool{}, outputs: map[string]bool{}, told: map[string]bool{},
		makers: map[string]*onnx.Node{}, readers: map[string][]*onnx.Node{}, gone: map[*onnx.Node]bool{}}
	for _, v := range g.Inputs {
		l.inputs[v.Name] = true
	}
	for _, v := range g.Outputs {
		l.outputs[v.Name], l.told[v.Name] = true, true
	}
	for _, v := range g.Values {
		l.told[v.Name] = true
	}
	for _, n := range g.Nodes {
		l.link(n)
	}
	return l
}

// link records what a node reads and makes.
func (l *lowering) link(n *onnx.Node) {
	for _, i := range n.Inputs {
		if i != "" {
			l.readers[i] = append(l.readers[i], n)
		}
	}
	for _, o := range n.Outputs {
		if o != "" {
			l.makers[o] = n
		}
	}
}

// maker is the node of ONNX's own operator set that makes a value, if it is the operator asked for.
func (l *lowering) maker(value, op string) *onnx.Node {
	if n := l.makers[value]; n != nil && n.Domain == "" && n.Op == op {
		return n
	}
	return nil
}

// only is the one reader of a value that is seen nowhere else, nil where there are more.
func (l *lowering) only(value string) *onnx.Node {
	if r := l.readers[value]; len(r) == 1 && !l.outputs[value] {
		return r[0]
	}
	return nil
}

// onlyIn tells whether a value is read by no other nodes than those listed.
func (l *lowering) onlyIn(value string, nodes ...*onnx.Node) bool {
	return !l.outputs[value] && !slices.ContainsFunc(l.readers[value], func(r *onnx.Node) bool { return !slices.Contains(nodes, r) })
}

// replace puts a node of ours where another stands. It makes values that others made, each the only one of its maker; these
// makers go, and so does all that is then read by nobody. at has to be one of them.
func (l *lowering) replace(at, ours *onnx.Node) {
	l.replaced = true
	l.graph.Nodes[slices.Index(l.graph.Nodes, at)] = ours
	var old []*onnx.Node
	for _, o := range ours.Outputs {
		if n := l.makers[o]; n != nil {
			old = append(old, n)
		}
	}
	l.link(ours)
	l.tell(ours)
	for _, n := range old {
		l.drop(n)
	}
}

// extend gives a node of ours another output, which another node has made.
func (l *lowering) extend(ours *onnx.Node, index int, output string) {
	for len(ours.Outputs) <= index {
		ours.Outputs = append(ours.Outputs, "")
	}
	old := l.makers[output]
	ours.Outputs[index], l.makers[output] = output, ours
	l.tell(ours)
	l.drop(old)
}

// drop takes a node away, and those that made what only it has read.
func (l *lowering) drop(n *onnx.Node) {
	if l.gone[n] {
		return
	}
	l.gone[n] = true
	for _, i := range n.Inputs {
		l.unread(n, i)
	}
}

// unread says that a node does not read a value any more. The node that made it goes where nobody else does.
func (l *lowering) unread(n *onnx.Node, value string) {
	l.readers[value] = slices.DeleteFunc(l.readers[value], func(r *onnx.Node) bool { return r == n })
	if m := l.makers[value]; m != nil && !slices.ContainsFunc(m.Outputs, l.used) {
		l.drop(m)
	}
}

// used tells whether anybody reads a value.
func (l *lowering) used(value string) bool {
	return value != "" && (l.outputs[value] || len(l.readers[value]) > 0)
}

// finish leaves the nodes that stay, each behind what it reads. It fails where there is no such order: a node of ours that
// makes several values may close a circle, though no gradient is known that does.
func (l *lowering) finish() bool {
	sorted := make([]*onnx.Node, 0, len(l.graph.Nodes))
	const under, done = 1, 2
	state := map[*onnx.Node]int{nil: done}
	var visit func(*onnx.Node) bool
	visit = func(n *onnx.Node) bool {
		if l.gone[n] || state[n] != 0 {
			return state[n] != under
		}
		state[n] = under
		for _, i := range n.Inputs {
			if !visit(l.makers[i]) {
				return false
			}
		}
		state[n] = done
		sorted = append(sorted, n)
		return true
	}
	for _, n := range l.graph.Nodes {
		if !visit(n) {
			return false
		}
	}
	l.graph.Nodes = sorted
	return true
}

// tell writes the shapes of a node's outputs into the graph, since the engine cannot infer them any more and needs them for
// what it fuses behind.
func (l *lowering) tell(n *onnx.Node) {
	for _, o := range n.Outputs {
		if v := l.facts.Values[o]; !l.told[o] && v.Type != onnx.Undefined && v.Shape != nil {
			l.graph.Values = append(l.graph.Values, v)
			l.told[o] = true
		}
	}
}

// float tells whether a value is known to be of float32.
func (l *lowering) float(name string) bool { return l.facts.Values[name].Type == onnx.Float }

// same tells whether values certainly have one shape.
func (l *lowering) same(a, b string) bool {
	x, y := l.facts.Values[a].Shape, l.facts.Values[b].Shape
	return x != nil && y != nil && slices.EqualFunc(x, y, func(p, q onnx.Dim) bool {
		return p.Size >= 0 && p.Size == q.Size || p.Size < 0 && q.Size < 0 && p.Name != "" && p.Name == q.Name
	})
}

// rank is the number of a value's dimensions, -1 where it is not known.
func (l *lowering) rank(value string) int {
	if s := l.facts.Values[value].Shape; s != nil {
		return len(s)
	}
	return -1
}

// scalar is the value of a constant of one element.
func (l *lowering) scalar(name string) (float32, bool) {
	f, ok := l.facts.Floats(name)
	if !ok || len(f) != 1 || l.inputs[name] {
		return 0, false
	}
	return f[0], true
}

// ints are the elements of a list that is the same in every run.
func (l *lowering) ints(name string) ([]int64, bool) {
	if l.inputs[name] {
		return nil, false
	}
	return l.facts.Ints(name)
}
