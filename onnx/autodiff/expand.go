package autodiff

import (
	"cmp"
	"slices"

	"metalora/onnx"
)

// expansion appends operators that compute together what n does, and returns their values in the order of n's outputs:
// empty where the engine leaves one out; nothing where n stays as it is. It is the rule of an operator that is a chain of
// others, such as the fused ones: the chain's own rules do the rest, and all inputs that have a gradient get one.
type expansion func(b *builder, n *onnx.Node) []value

// expanded is the rule of an operator that is written as others before the walk.
func expanded(e expansion) rule { return rule{expansion: e, inputs: every} }

// expand replaces the nodes with an expansion that lie on a way from the wanted values to the output, and reports whether
// there were any. The names of their outputs stay.
func (b *builder) expand(r Request) bool {
	active := b.between(r.Wrt, r.Of)
	nodes := b.model.Graph.Nodes
	b.model.Graph.Nodes = nil
	found := false
	for _, n := range nodes {
		if !passes(n, active) || !b.unfold(n) {
			b.model.Graph.Nodes = append(b.model.Graph.Nodes, n)
			continue
		}
		found = true
	}
	return found
}

// unfold appends n's expansion, if it has one.
func (b *builder) unfold(n *onnx.Node) bool {
	defer b.unfit(n)
	rule := rules[op{n.Domain, n.Op}]
	return rule.expansion != nil && (rule.obstacle == nil || rule.obstacle(b, n) == "") && b.write(n, rule.expansion)
}

// write appends what an expansion gives, if it does.
func (b *builder) write(n *onnx.Node, e expansion) bool {
	defer b.out.Scope(cmp.Or(n.Name, n.Output(0)))()
	b.dtype = b.typeOf(n.Output(0))
	outputs := e(b, n)
	for i, v := range outputs {
		if o := n.Output(i); o != "" && v != "" {
			b.out.Named(o, "Identity", []value{v})
		}
	}
	return outputs != nil
}

// passes reports whether a cotangent goes through n.
func passes(n *onnx.Node, active map[value]bool) bool {
	for i, x := range n.Inputs {
		if active[x] && leads(n, i) {
			return slices.ContainsFunc(n.Outputs, func(o value) bool { return active[o] })
		}
	}
	return false
}
