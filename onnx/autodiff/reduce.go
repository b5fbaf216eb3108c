package autodiff

import "metalora/onnx"

// y = Σx over axes: dx = dy, repeated.
func reduceSum(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.op("Expand", b.kept(n, dy), b.shapeOf(n.Input(0)))
}

// y = Σx/k over axes: dx = dy/k, repeated.
func reduceMean(b *builder, n *onnx.Node, dy value, _ int) value {
	x, y := n.Input(0), n.Output(0)
	if k, ok := b.reduced(n); ok {
		return reduceSum(b, n, b.times(dy, 1/k), 0)
	}
	k := b.cast(b.div(b.op("Size", x), b.op("Size", y)), b.typeOf(x))
	return reduceSum(b, n, b.div(dy, k), 0)
}

// y = max(x) over axes: dx = dy where x is the largest; equals share it. So is the minimum.
func reduceExtreme(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	wins := b.equal(x, b.kept(n, n.Output(0)))
	winners := b.reduceAgain(n, b.cast(wins, b.typeOf(x)))
	return b.only(wins, b.div(b.kept(n, dy), winners))
}

// y = Σ|x| over axes: dx = dy*sign(x).
func reduceL1(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(b.kept(n, dy), b.op("Sign", n.Input(0)))
}

// y = √Σx² over axes: dx = dy/y*x.
func reduceL2(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(b.kept(n, b.div(dy, n.Output(0))), n.Input(0))
}

// y = Σx² over axes: dx = 2*dy*x.
func reduceSumSquare(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(b.kept(n, b.times(dy, 2)), n.Input(0))
}

// y = log Σexp(x) over axes: dx = dy*exp(x - y).
func reduceLogSumExp(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(b.kept(n, dy), b.exp(b.sub(n.Input(0), b.kept(n, n.Output(0)))))
}

// y_i = Σ_(j<=i) x_j along an axis: dx_j = Σ_(i>=j) dy_i, the same sum from the other end.
func cumSum(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.with("CumSum", []value{dy, n.Input(1)},
		onnx.IntAttr("exclusive", n.Int("exclusive", 0)), onnx.IntAttr("reverse", 1-n.Int("reverse", 0)))
}

// kept gives v, of the shape of a reduction's output, size 1 along the reduced axes, so that it broadcasts against the input.
func (b *builder) kept(n *onnx.Node, v value) value {
	axes := b.reductionAxes(n)
	if n.Int("keepdims", 1) != 0 || axes == "" {
		return v // without axes everything is reduced and v is a scalar, or nothing is
	}
	return b.op("Unsqueeze", v, axes)
}

// reductionAxes is the vector of axes of a reduction: an attribute in older operator sets, an input in newer ones, empty
// where there is none.
func (b *builder) reductionAxes(n *onnx.Node) value {
	if a := n.Attr("axes"); a != nil {
		return b.vec(a.Ints...)
	}
	return n.Input(1)
}

// reduceAgain sums v, of the input's shape, over the axes of a reduction, which stay with size 1.
func (b *builder) reduceAgain(n *onnx.Node, v value) value {
	in := []value{v}
	if axes := b.reductionAxes(n); axes != "" {
		in = append(in, axes)
	}
	return b.with("ReduceSum", in, onnx.IntAttr("noop_with_empty_axes", n.Int("noop_with_empty_axes", 0)))
}

// reduced is how many elements each output of a reduction is made of, if that is known in advance.
func (b *builder) reduced(n *onnx.Node) (float64, bool) {
	shape := b.info[n.Input(0)].Shape
	axes, ok := b.ints(b.reductionAxes(n))
	if !ok || shape == nil || len(axes) == 0 {
		return 0, false
	}
	k := int64(1)
	for _, axis := range axes {
		if axis < 0 {
			axis += int64(len(shape))
		}
		k *= shape[axis].Size
		if shape[axis].Size <= 0 {
			return 0, false
		}
	}
	return float64(k), true
}
