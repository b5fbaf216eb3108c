package onnx

import "slices"

// liftedOpset and liftedIR are what [Lift13] brings a model to: the operator set in which axes of sums are inputs and Softmax
// goes along one axis, and the file format of its release.
const (
	liftedOpset = 13
	liftedIR    = 7
)

// Lift13 returns a copy of m, which is written for operator set 11 or 12, in operator set 13; a model of a newer set is
// returned as it is. The names of all values stay, and what they hold. Rewritten are the operators whose form changed:
// Squeeze, Unsqueeze, Split and ReduceSum take their lists as inputs, Softmax, LogSoftmax and Hardmax no longer flatten
// what lies behind their axis, Dropout has no attribute. See the "Version" notes of ONNX's Operators.md.
func Lift13(m *Model) (*Model, error) {
	if m.Opset("") >= liftedOpset {
		return m, nil
	}
	info, err := Infer(m)
	if err != nil {
		return nil, err
	}
	c := m.Clone()
	c.Opsets[""], c.IRVersion = liftedOpset, max(c.IRVersion, liftedIR)
	l := lifting{NewBuilder(c.Graph), info}
	nodes := c.Graph.Nodes
	c.Graph.Nodes = nil
	for _, n := range nodes {
		if rewrite := lifts[n.Op]; rewrite != nil && n.Domain == "" {
			rewrite(l, n)
		} else {
			l.Graph.Nodes = append(l.Graph.Nodes, n)
		}
	}
	return c, nil
}

// lifting appends rewritten nodes to a graph.
type lifting struct {
	*Builder
	info map[string]ValueInfo
}

// lifts has what rewrites a node of each operator that changed between the sets 11 and 13.
var lifts = map[string]func(lifting, *Node){
	"Squeeze": listAsInput("axes"), "Unsqueeze": listAsInput("axes"), "ReduceSum": listAsInput("axes"), "Split": listAsInput("split"),
	"Softmax": alongOneAxis, "LogSoftmax": alongOneAxis, "Hardmax": alongOneAxis,
	"Dropout": func(l lifting, n *Node) { l.keep(n, n.Inputs, "ratio") },
}

// keep appends n with other inputs and without an attribute.
func (l lifting) keep(n *Node, inputs []string, without string) {
	c := *n
	c.Inputs = inputs
	c.Attrs = slices.DeleteFunc(slices.Clone(n.Attrs), func(a Attr) bool { return a.Name == without })
	l.Graph.Nodes = append(l.Graph.Nodes, &c)
}

// listAsInput makes the second input of what was an attribute.
func listAsInput(attr string) func(lifting, *Node) {
	return func(l lifting, n *Node) {
		inputs := slices.Clone(n.Inputs)
		if n.Attr(attr) != nil {
			inputs = []string{n.Input(0), l.Ints(n.Ints(attr)...)}
		}
		l.keep(n, inputs, attr)
	}
}

// alongOneAxis: the operator saw its input as a matrix whose rows are the dimensions before the axis, 1 by default. Where
// the axis is the last one that makes no difference.
func alongOneAxis(l lifting, n *Node) {
	x, a := n.Input(0), n.Int("axis", 1)
	last := &Node{Name: n.Name, Op: n.Op, Inputs: n.Inputs, Outputs: n.Outputs, Attrs: []Attr{IntAttr("axis", -1)}}
	if shape := l.info[x].Shape; a == -1 || shape != nil && a == int64(len(shape))-1 {
		l.Graph.Nodes = append(l.Graph.Nodes, last)
		return
	}
	last.Inputs = []string{l.Op("Flatten", []string{x}, IntAttr("axis", a))}
	last.Outputs = []string{l.Fresh(n.Output(0) + ":flat")}
	l.Graph.Nodes = append(l.Graph.Nodes, last)
	l.Named(n.Output(0), "Reshape", []string{last.Outputs[0], l.Op("Shape", []string{x})})
}
