package autodiff

import (
	"cmp"
	"fmt"
	"slices"

	"metalora/onnx"
)

// backward walks from r.Of to the values of r.Wrt and leaves the cotangent of every value on the way in b.cotangents.
func (b *builder) backward(r Request) {
	active := b.between(r.Wrt, r.Of)
	nodes := slices.Clone(b.model.Graph.Nodes)
	if active[r.Of] {
		b.give(r.Of, b.seed(r))
	}
	for _, n := range slices.Backward(nodes) {
		if !slices.ContainsFunc(n.Outputs, b.hasCotangent) {
			continue
		}
		leave := b.out.Scope("grad/" + cmp.Or(n.Name, n.Output(0)))
		b.visit(n, active)
		leave()
	}
}

// between marks the values that lie on a way of float values from one of the sources to the target, both ends included.
func (b *builder) between(sources []string, target value) map[value]bool {
	reached := map[value]bool{}
	for _, v := range sources {
		reached[v] = true
	}
	nodes := b.model.Graph.Nodes
	for _, n := range nodes {
		depends := false
		for i, v := range n.Inputs {
			depends = depends || reached[v] && leads(n, i)
		}
		for _, o := range n.Outputs {
			reached[o] = reached[o] || depends && b.carriesGradient(o)
		}
	}
	active := map[value]bool{target: reached[target]}
	for _, n := range slices.Backward(nodes) {
		if !slices.ContainsFunc(n.Outputs, func(v value) bool { return active[v] }) {
			continue
		}
		for i, v := range n.Inputs {
			active[v] = active[v] || reached[v] && leads(n, i)
		}
	}
	return active
}

// leads reports whether the outputs of n depend on its input i in a way that has a derivative other than zero, as far as
// is known.
func leads(n *onnx.Node, i int) bool {
	o := op{n.Domain, n.Op}
	return !zeroGradient[o] && !rules[o].ignores.has(i)
}

// visit gives every active input of a node the cotangent that the node's rule derives.
func (b *builder) visit(n *onnx.Node, active map[value]bool) {
	defer b.unfit(n)
	b.sumCotangents(n.Outputs)
	rule, known := rules[op{n.Domain, n.Op}]
	if !known {
		b.refuse(n, cmp.Or(refused[op{n.Domain, n.Op}], "there is no rule for this operator"))
	} else if why := b.obstacle(n, rule); why != "" {
		b.refuse(n, why)
		known = false
	}
	b.dtype = b.typeOf(n.Output(0))
	for i, x := range n.Inputs {
		switch {
		case !active[x] || !leads(n, i):
		case !known:
			b.give(x, x) // stands in for the missing cotangent, so that the walk also finds the blockers behind
		case b.tables[x]:
			b.look(n, b.cotangent(n.Output(0)), i)
		case !rule.inputs.has(i):
			b.refuse(n, "there is no rule for its input "+inputName(n, i))
			b.give(x, x)
		default:
			b.give(x, b.apply(rule, n, i))
		}
	}
}

// unfit makes a blocker of a node over which a rule panics. Rules take a node for what its operator says: as many inputs, of so many
// dimensions, with such attributes. No engine runs a node that is otherwise, but a file may have one.
func (b *builder) unfit(n *onnx.Node) {
	if p := recover(); p != nil {
		b.refuse(n, fmt.Sprintf("its inputs, attributes or shapes are not those of the operator (%v)", p))
	}
}

// apply is what a rule derives for input i.
func (b *builder) apply(r rule, n *onnx.Node, i int) value {
	dx := r.formula(b, n, b.cotangent(n.Output(0)), i)
	if r.broadcasts {
		dx = b.sumTo(dx, n.Input(i), n.Output(0))
	}
	return dx
}

// obstacle says why a cotangent of this node's outputs cannot be passed on by the rule, if so.
func (b *builder) obstacle(n *onnx.Node, r rule) string {
	if r.obstacle != nil {
		if why := r.obstacle(b, n); why != "" {
			return why
		}
	}
	for i, o := range n.Outputs {
		if i > 0 && !r.allOutputs && b.cotangent(o) != "" {
			return "there is no rule for its output " + o
		}
	}
	return ""
}

// seed is the cotangent of the output that is differentiated.
func (b *builder) seed(r Request) value {
	if r.Seed != "" {
		return r.Seed
	}
	b.dtype = b.typeOf(r.Of)
	return b.filled(1, b.shapeOf(r.Of))
}

// give adds dx to the cotangent of v.
func (b *builder) give(v, dx value) { b.cotangents[v] = append(b.cotangents[v], dx) }

func (b *builder) hasCotangent(v value) bool { return len(b.cotangents[v]) > 0 }

// cotangent is what v's readers gave, or empty where none of them depends on v. All of them have been visited when it is
// asked for, since nodes are visited in reverse order.
func (b *builder) cotangent(v value) value {
	if !b.hasCotangent(v) {
		return ""
	}
	return b.cotangents[v][0]
}

// sumCotangents makes one value of the contributions to each of vs. Sums of two are used because ONNX Runtime
// computes them in place.
func (b *builder) sumCotangents(vs []value) {
	for _, v := range vs {
		given := b.cotangents[v]
		if len(given) < 2 {
			continue
		}
		sum := given[0]
		for _, dx := range given[1:] {
			sum = b.add(sum, dx)
		}
		b.cotangents[v] = []value{sum}
	}
}

// refuse notes a node that blocks the gradient, once for each reason.
func (b *builder) refuse(n *onnx.Node, why string) {
	name := cmp.Or(n.Name, n.Output(0)) // exporters may leave nodes without a name
	blocker := Blocker{Node: name, Op: n.Op, Domain: n.Domain, Why: why}
	if !slices.Contains(b.blockers, blocker) {
		b.blockers = append(b.blockers, blocker)
	}
}
