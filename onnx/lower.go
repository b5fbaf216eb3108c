package onnx

import (
	"fmt"
	"math"
	"slices"
)

// The operator sets that [Lower] writes: from the oldest that exporters still offer to the newest of the pinned runtime.
const (
	OldestOpset = 14
	NewestOpset = 25
)

// irVersions has the file format of the release that brought an operator set, as far as formats went hand in hand.
var irVersions = map[int64]int64{14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9}

// newestIR is the file format for operator sets above those.
const newestIR = 10

// Lower returns a copy of a model of opset 18 or newer that is written in another operator set and computes the same:
// operators that an older set lacks (Gelu before 20, LayerNormalization before 17) are written as simpler ones, and lists
// that were attributes become attributes again. The names of all values stay. An operator that the set does not have and
// that is not written so is left for the runtime to refuse.
func Lower(m *Model, opset int64) (*Model, error) {
	if opset < OldestOpset || opset > NewestOpset {
		return nil, fmt.Errorf("opset %d: want %d to %d", opset, OldestOpset, NewestOpset)
	}
	c := m.Clone()
	c.Opsets[""], c.IRVersion = opset, newestIR
	if v, ok := irVersions[opset]; ok {
		c.IRVersion = v
	}
	l := lowering{NewBuilder(c.Graph), opset, map[string]*Tensor{}}
	for _, t := range c.Graph.Initializers {
		l.constants[t.Name] = t
	}
	nodes := c.Graph.Nodes
	c.Graph.Nodes = nil
	l.Reserve(nodes)
	for _, n := range nodes {
		if err := l.node(n); err != nil {
			return nil, fmt.Errorf("%v: %w", n, err)
		}
	}
	return c, nil
}

// lowering appends nodes in the form of an operator set.
type lowering struct {
	*Builder
	opset     int64
	constants map[string]*Tensor
}

func (l lowering) node(n *Node) error {
	switch {
	case n.Domain != "":
	case n.Op == "Gelu" && l.opset < 20:
		return l.gelu(n)
	case n.Op == "LayerNormalization" && l.opset < 17:
		return l.norm(n)
	case slices.Contains([]string{"ReduceMean", "ReduceMax", "ReduceMin"}, n.Op) && l.opset < 18 && n.Input(1) != "":
		axes, ok := l.list(n.Input(1))
		if !ok {
			return fmt.Errorf("its axes are computed, which opset %d does not allow", l.opset)
		}
		c := *n
		c.Inputs = n.Inputs[:1]
		c.Attrs = append(slices.Clone(n.Attrs), IntsAttr("axes", axes...))
		n = &c
	case n.Op == "Split" && l.opset < 18:
		c := *n
		c.Attrs = slices.DeleteFunc(slices.Clone(n.Attrs), func(a Attr) bool { return a.Name == "num_outputs" })
		n = &c
	}
	l.Graph.Nodes = append(l.Graph.Nodes, n)
	return nil
}

// list is the value of a constant of integers.
func (l lowering) list(name string) ([]int64, bool) {
	t := l.constants[name]
	if t == nil || t.Type != Int64 {
		return nil, false
	}
	var list []int64
	for _, n := range t.ints() {
		x, ok := n.value()
		if !ok {
			return nil, false
		}
		list = append(list, x)
	}
	return list, true
}

// gelu is x/2 · (1 + erf(x/√2)).
func (l lowering) gelu(n *Node) error {
	if a := n.Attr("approximate"); a != nil && a.S != "none" {
		return fmt.Errorf("its approximation %q has no form in opset %d", a.S, l.opset)
	}
	x := n.Input(0)
	erf := l.Op("Erf", []string{l.Op("Div", []string{x, l.Scalar(math.Sqrt2)})})
	product := l.Op("Mul", []string{x, l.Op("Add", []string{erf, l.Scalar(1)})})
	l.Named(n.Output(0), "Mul", []string{product, l.Scalar(0.5)})
	return nil
}

// norm is d / sqrt(mean(d²) + ε) · weight + bias with d = x - mean(x), over the last dimension.
func (l lowering) norm(n *Node) error {
	if n.Int("axis", -1) != -1 || n.Output(1) != "" || n.Output(2) != "" {
		return fmt.Errorf("layer norms over other than the last dimension have no form in opset %d", l.opset)
	}
	x, mean := n.Input(0), func(v string) string { return l.Op("ReduceMean", []string{v}, IntsAttr("axes", -1)) }
	d := l.Op("Sub", []string{x, mean(x)})
	variance := mean(l.Op("Pow", []string{d, l.Scalar(2)}))
	root := l.Op("Sqrt", []string{l.Op("Add", []string{variance, l.Scalar(n.Float("epsilon", 1e-5))})})
	inputs := []string{l.Op("Div", []string{d, root}), n.Input(1)}
	if n.Input(2) == "" {
		l.Named(n.Output(0), "Mul", inputs)
		return nil
	}
	l.Named(n.Output(0), "Add", []string{l.Op("Mul", inputs), n.Input(2)})
	return nil
}
