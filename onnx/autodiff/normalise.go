package autodiff

import "metalora/onnx"

// y = softmax(x) along an axis: dx = (dy - Σdy*y)*y.
func softmax(b *builder, n *onnx.Node, dy value, _ int) value {
	y := n.Output(0)
	return b.mul(b.sub(dy, b.sumKeep(b.mul(dy, y), n.Int("axis", -1))), y)
}

// y = log softmax(x) along an axis: dx = dy - exp(y)*Σdy.
func logSoftmax(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.sub(dy, b.mul(b.exp(n.Output(0)), b.sumKeep(dy, n.Int("axis", -1))))
}

// y = s*h + c with h = (x - mean)*r, r = 1/√(variance + ε): dx = (g - mean(g) - h*mean(g*h))*r with g = dy*s; ds = dy*h and
// dc = dy, both summed over what shares s and c. Half precision is computed in float, as the operator itself does.
func layerNorm(b *builder, n *onnx.Node, dy value, i int) value {
	x, s, y := n.Input(0), n.Input(1), n.Output(0)
	if i == 2 {
		return b.sumTo(dy, n.Input(2), y)
	}
	axes := []int64{}
	for axis := b.axis(n, x, -1); axis < int64(b.rank(x)); axis++ {
		axes = append(axes, axis)
	}
	h, r := b.standardised(n, axes)
	if i == 1 {
		return b.sumTo(b.narrow(b.mul(b.widen(dy), h)), s, y)
	}
	g := b.widen(b.mul(dy, s))
	dx := b.sub(b.sub(g, b.meanKeep(g, axes...)), b.mul(h, b.meanKeep(b.mul(g, h), axes...)))
	return b.narrow(b.mul(dx, r))
}

// standardised is h and r of layerNorm. The operator gives the mean and r as outputs of its own, in float; for double
// they are computed again.
func (b *builder) standardised(n *onnx.Node, axes []int64) (h, r value) {
	x := n.Input(0)
	if b.dtype != onnx.Double {
		mean, r := b.extraOutput(n, 1), b.extraOutput(n, 2)
		return b.mul(b.sub(b.widen(x), mean), r), r
	}
	centred := b.sub(x, b.meanKeep(x, axes...))
	variance := b.meanKeep(b.square(centred), axes...)
	r = b.op("Reciprocal", b.op("Sqrt", b.add(variance, b.num(float64(n.Float("epsilon", 1e-5))))))
	return b.mul(centred, r), r
}

// widen is v, of the formula's type, in the type that sums are computed in; narrow leads back.
func (b *builder) widen(v value) value {
	if b.dtype == onnx.Float16 || b.dtype == onnx.BFloat16 {
		return b.cast(v, onnx.Float)
	}
	return v
}

func (b *builder) narrow(v value) value {
	if b.dtype == onnx.Float16 || b.dtype == onnx.BFloat16 {
		return b.cast(v, b.dtype)
	}
	return v
}
