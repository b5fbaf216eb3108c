package kernels

import (
	"slices"

	"metalora/onnx"
)

// Lower returns a copy of a model in which operators of ours stand in the place of ONNX's where they compute the same. All
// values keep their names. A model in which nothing is replaced is returned as it is, and so is one that names [Domain]
// itself or whose types cannot be inferred.
func Lower(m *onnx.Model) *onnx.Model {
	if _, named := m.Opsets[Domain]; named {
		return m
	}
	values, err := onnx.Infer(m)
	if err != nil {
		return m
	}
	l := lowering{values: values, told: map[string]bool{}}
	for _, v := range slices.Concat(m.Graph.Outputs, m.Graph.Values) {
		l.told[v.Name] = true
	}
	c := m.Clone()
	for i, n := range c.Graph.Nodes {
		if ours := l.node(n); ours != nil {
			c.Graph.Nodes[i] = ours
			l.tell(c.Graph, ours)
		}
	}
	if !l.replaced {
		return m
	}
	c.Opsets[Domain] = version
	return c
}

// lowering is one walk over a model.
type lowering struct {
	values   map[string]onnx.ValueInfo
	told     map[string]bool // values of which the model itself says the shape
	replaced bool
}

// node is what stands for a node of ONNX's, nil where the node stays.
func (l *lowering) node(n *onnx.Node) *onnx.Node {
	if n.Domain == "" && n.Op == "Gemm" && n.Input(2) == "" && l.float(n.Input(0)) && l.float(n.Input(1)) {
		return &onnx.Node{Name: n.Name, Domain: Domain, Op: "Gemm", Inputs: n.Inputs[:2], Outputs: n.Outputs, Attrs: []onnx.Attr{
			onnx.IntAttr("transA", n.Int("transA", 0)), onnx.IntAttr("transB", n.Int("transB", 0)), onnx.FloatAttr("alpha", n.Float("alpha", 1))}}
	}
	return nil
}

// float tells whether a value is known to be of float32.
func (l *lowering) float(name string) bool { return l.values[name].Type == onnx.Float }

// tell writes the shapes of a node's outputs into the graph, since the engine cannot infer them any more and needs them for
// what it fuses behind.
func (l *lowering) tell(g *onnx.Graph, n *onnx.Node) {
	l.replaced = true
	for _, o := range n.Outputs {
		if v := l.values[o]; !l.told[o] && v.Type != onnx.Undefined && v.Shape != nil {
			g.Values = append(g.Values, v)
		}
	}
}
