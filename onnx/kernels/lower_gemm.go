package kernels

import (
	"slices"

	"metalora/onnx"
)

// The inputs of our Gemm: Y = addend + mask⊙(alpha · op(A⊙maskA)·op(B⊙maskB) + bias) + mask2⊙(alpha2 · A2·op(B2)).
const (
	addend = iota
	factorA
	factorB
	bias
	maskA
	maskB
	maskY
	secondA
	secondB
	maskSecond
	gemmInputs
)

// thin is how many columns the factor A2 may have; so few are LoRA's.
const thin = 64

// gemm replaces a product, its bias included. Sums of rows that are written as products are left to sum.
func (l *lowering) gemm(n *onnx.Node) {
	if n.Op != "Gemm" || l.rowOfOnes(n.Input(0)) || !l.float(n.Input(0)) || !l.float(n.Input(1)) {
		return
	}
	inputs := make([]string, gemmInputs)
	inputs[factorA], inputs[factorB] = n.Input(0), n.Input(1)
	if c := n.Input(2); c != "" {
		if !l.isBias(c, n.Output(0)) || n.Float("beta", 1) != 1 {
			return
		}
		inputs[bias] = c
	}
	l.replace(n, of(n, "Gemm", inputs, n.Outputs, onnx.IntAttr("transA", n.Int("transA", 0)), onnx.IntAttr("transB", n.Int("transB", 0)),
		onnx.FloatAttr("alpha", n.Float("alpha", 1)), onnx.IntAttr("transB2", 0), onnx.FloatAttr("alpha2", 1)))
}

// isBias tells whether a value is one row [n] for a product [m, n].
func (l *lowering) isBias(value, product string) bool {
	x, y := l.facts.Values[value].Shape, l.facts.Values[product].Shape
	return len(x) == 1 && len(y) == 2 && x[0].Size > 0 && x[0].Size == y[1].Size && l.float(value)
}

// product is the Gemm of ours that makes a value for a single reader, nil where there is none.
func (l *lowering) product(value string) *onnx.Node {
	if n := l.makers[value]; n != nil && n.Domain == Domain && n.Op == "Gemm" && l.only(value) != nil {
		return n
	}
	return nil
}

// factors lets thin products mask their factors themselves, if no one else reads what dropout leaves of a value. A large product
// would mask an element once for each part of it that a thread computes.
func (l *lowering) factors(n *onnx.Node) {
	letters, ok := l.find(dropout, n.Output(0))
	dropped := n.Output(0)
	if n.Op != "Mul" || !ok || l.rank(dropped) != 2 || l.outputs[dropped] {
		return
	}
	readers := slices.Clone(l.readers[dropped])
	for _, r := range readers {
		if r.Domain != Domain || r.Op != "Gemm" || r.Input(factorA) == r.Input(factorB) || !l.thinBut(r, dropped) {
			return
		}
	}
	for _, r := range readers {
		ours := copyOf(r)
		at := factorA
		if r.Input(factorB) == dropped {
			at = factorB
		}
		ours.Inputs[at], ours.Inputs[maskA+at-factorA] = letters["x"], letters["mask"]
		l.replace(r, ours)
	}
}

// thinBut tells whether the factor of a product beside x is thin: a matrix with a side that is fixed and short.
func (l *lowering) thinBut(product *onnx.Node, x string) bool {
	other := product.Input(factorA)
	if other == x {
		other = product.Input(factorB)
	}
	return slices.ContainsFunc(l.facts.Values[other].Shape, func(d onnx.Dim) bool { return 0 < d.Size && d.Size <= thin })
}

func copyOf(n *onnx.Node) *onnx.Node {
	c := *n
	c.Inputs, c.Outputs, c.Attrs = slices.Clone(n.Inputs), slices.Clone(n.Outputs), slices.Clone(n.Attrs)
	return &c
}

// products lets products take over what follows them. They keep their names, by which a profile tells where time goes.
func (l *lowering) products(n *onnx.Node) {
	l.sums(n)
	l.masks(n)
}

// sums lets products add what is added to them: a bias, each other, anything of their shape.
func (l *lowering) sums(n *onnx.Node) {
	if n.Op != "Add" || l.rank(n.Output(0)) != 2 || !l.float(n.Output(0)) {
		return
	}
	p, q := n.Input(0), n.Input(1)
	for _, try := range []func(product *onnx.Node, other string) *onnx.Node{l.addBias, l.addSecond, l.addAddend} {
		for _, side := range [][2]string{{p, q}, {q, p}} {
			if product := l.product(side[0]); product != nil {
				if ours := try(product, side[1]); ours != nil {
					ours.Outputs = slices.Clone(n.Outputs)
					l.replace(n, ours)
					return
				}
			}
		}
	}
}

// addBias is a product with a bias that has none yet.
func (l *lowering) addBias(product *onnx.Node, other string) *onnx.Node {
	if product.Input(bias) != "" || product.Input(maskY) != "" || !l.isBias(other, product.Output(0)) {
		return nil
	}
	ours := copyOf(product)
	ours.Inputs[bias] = other
	return ours
}

// addSecond is a product with a thin one as its second term, whose addend it takes over if it has none.
func (l *lowering) addSecond(product *onnx.Node, other string) *onnx.Node {
	second := l.product(other)
	if second == nil || product.Input(secondA) != "" || !l.isSecond(second) || !l.same(product.Output(0), other) {
		return nil
	}
	ours := copyOf(product)
	if second.Input(addend) != "" {
		if product.Input(addend) != "" {
			return nil
		}
		ours.Inputs[addend] = second.Input(addend)
	}
	ours.Inputs[secondA], ours.Inputs[secondB], ours.Inputs[maskSecond] = second.Input(factorA), second.Input(factorB), second.Input(maskY)
	setAttr(ours, onnx.IntAttr("transB2", second.Int("transB", 0)))
	setAttr(ours, onnx.FloatAttr("alpha2", second.Float("alpha", 1)))
	return ours
}

// isSecond tells whether a product can be another's second term.
func (l *lowering) isSecond(n *onnx.Node) bool {
	a := l.facts.Values[n.Input(factorA)].Shape
	for _, i := range []int{bias, maskA, maskB, secondA} {
		if n.Input(i) != "" {
			return false
		}
	}
	return n.Int("transA", 0) == 0 && len(a) == 2 && 0 < a[1].Size && a[1].Size <= thin
}

// addAddend is a product with an addend that has none yet.
func (l *lowering) addAddend(product *onnx.Node, other string) *onnx.Node {
	if product.Input(addend) != "" || !l.same(product.Output(0), other) {
		return nil
	}
	ours := copyOf(product)
	ours.Inputs[addend] = other
	return ours
}

// masks lets a product without an addend drop elements of its result.
func (l *lowering) masks(n *onnx.Node) {
	if n.Op != "Mul" {
		return
	}
	letters, ok := l.find(dropout, n.Output(0))
	if !ok {
		return
	}
	product := l.product(letters["x"])
	if product == nil || product.Input(addend) != "" || product.Input(maskY) != "" || product.Input(maskSecond) != "" {
		return
	}
	ours := copyOf(product)
	ours.Outputs = slices.Clone(n.Outputs)
	ours.Inputs[maskY] = letters["mask"]
	if ours.Input(secondA) != "" {
		ours.Inputs[maskSecond] = letters["mask"]
	}
	l.replace(n, ours)
}

func setAttr(n *onnx.Node, a onnx.Attr) {
	for i := range n.Attrs {
		if n.Attrs[i].Name == a.Name {
			n.Attrs[i] = a
		}
	}
}
