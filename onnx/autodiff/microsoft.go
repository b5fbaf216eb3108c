package autodiff

import "metalora/onnx"

// microsoft is the domain of the operators that ONNX Runtime adds, among them those its optimiser fuses others into.
const microsoft = "com.microsoft"

// y = gelu(x + c): dx = dc = dy*gelu'(x + c).
func biasGelu(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(dy, geluSlope(b, b.add(n.Input(0), n.Input(1))))
}

// y = gelu(x + c) in the tanh form, c being optional: dx = dc = dy*gelu'(x + c).
func fastGelu(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	if c := n.Input(1); c != "" {
		x = b.add(x, c)
	}
	return b.mul(dy, tanhGeluSlope(b, x))
}

// y = x*s with s = sigmoid(a*x): dx = dy*(s + a*y*(1 - s)).
func quickGelu(b *builder, n *onnx.Node, dy value, _ int) value {
	a := float64(n.Float("alpha", 1.702))
	s := b.op("Sigmoid", b.times(n.Input(0), a))
	return b.mul(dy, b.add(s, b.times(b.mul(n.Output(0), b.sub(b.num(1), s)), a)))
}

// y = alpha*A*B where A and B are a and b or their transposes: as MatMul, transposed where they are.
func fusedMatMul(b *builder, n *onnx.Node, dy value, i int) value {
	return product{
		a: n.Input(0), transA: n.Int("transA", 0) != 0,
		b: n.Input(1), transB: n.Int("transB", 0) != 0, alpha: float64(n.Float("alpha", 1)),
	}.gradient(b, n.Output(0), dy, i)
}

// fusesOtherwise finds a FusedMatMul that moves batch dimensions about, or one of vectors.
func fusesOtherwise(b *builder, n *onnx.Node) string {
	if n.Int("transBatchA", 0) != 0 || n.Int("transBatchB", 0) != 0 {
		return "there is no rule for transposed batch dimensions"
	}
	for _, i := range []int{0, 1} {
		if b.rank(n.Input(i)) == 1 {
			return "there is no rule for its input " + inputName(n, i) + " being a vector"
		}
	}
	return rankUnknown(0, 1)(b, n)
}
