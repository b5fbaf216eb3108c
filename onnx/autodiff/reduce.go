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
	winners := b.reduceAgain("ReduceSum", n, b.cast(wins, b.typeOf(x)))
	return b.only(wins, b.div(b.kept(n, dy), winners))
}

// y = Σ|x| over axes: dx = dy*sign(x).
func reduceL1(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(b.kept(n, dy), b.op("Sign", n.Input(0)))
}

// y = √Σx² over axes: dx = dy/y*x, zero where y is.
func reduceL2(b *builder, n *onnx.Node, dy value, _ int) value {
	y := n.Output(0)
	return b.mul(b.kept(n, b.where(b.equal(y, b.num(0)), b.num(0), b.div(dy, y))), n.Input(0))
}

// y = Σx² over axes: dx = 2*dy*x.
func reduceSumSquare(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(b.kept(n, b.times(dy, 2)), n.Input(0))
}

// y = log Σexp(x) over axes: dx = dy*exp(x - y).
func reduceLogSumExp(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(b.kept(n, dy), b.exp(b.sub(n.Input(0), b.kept(n, n.Output(0)))))
}

// y = log Σx over axes: dx = dy/exp(y), repeated.
func reduceLogSum(b *builder, n *onnx.Node, dy value, _ int) value {
	return reduceSum(b, n, b.div(dy, b.exp(n.Output(0))), 0)
}

// y = Πx over axes: dx = dy times the product of the others.
func reduceProd(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	f := b.factor(x)
	others := f.others(b, b.reduceAgain("ReduceProd", n, f.nonZero), b.reduceAgain("ReduceSum", n, f.zeros))
	return b.mul(b.kept(n, dy), others)
}

// factor is a tensor of factors whose products are taken apart: divided by, except where they are zero.
type factor struct {
	zeros   value // 1 where it is zero, else 0
	nonZero value // itself, 1 where it is zero
}

func (b *builder) factor(x value) factor {
	isZero := b.equal(x, b.num(0))
	return factor{zeros: b.cast(isZero, b.dtype), nonZero: b.where(isZero, b.num(1), x)}
}

// others is the product of the other factors beside each one, given for its place the product of all that are not zero and
// how many are.
func (f factor) others(b *builder, product, zeros value) value {
	beside := b.only(b.equal(b.sub(zeros, f.zeros), b.num(0)), product) // no other is zero
	return b.div(beside, f.nonZero)
}

// y_i = Σ_(j<=i) x_j along an axis: dx_j = Σ_(i>=j) dy_i, the same sum from the other end.
func cumSum(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.with("CumSum", []value{dy, n.Input(1)},
		onnx.IntAttr("exclusive", n.Int("exclusive", 0)), onnx.IntAttr("reverse", 1-n.Int("reverse", 0)))
}

// y_i = Π_(j<=i) x_j along an axis: dx_j = Σ_(i>=j) dy_i*y_i/x_j before the first zero. There, what y would be if it were 1
// takes y's place; behind it nothing changes y.
func cumProd(b *builder, n *onnx.Node, dy value, _ int) value {
	x, axis := n.Input(0), n.Input(1)
	along := func(op string, v value, exclusive, reverse int64) value {
		return b.with(op, []value{v, axis}, onnx.IntAttr("exclusive", exclusive), onnx.IntAttr("reverse", reverse))
	}
	exclusive, reverse := n.Int("exclusive", 0), n.Int("reverse", 0)
	f := b.factor(x)
	zeros := along("CumSum", f.zeros, 0, reverse)
	first := b.equal(b.mul(zeros, f.zeros), b.num(1))
	without := along("CumProd", b.where(first, b.num(1), x), exclusive, reverse)
	sum := func(y value) value { return along("CumSum", b.mul(dy, y), exclusive, 1-reverse) }
	return b.where(b.equal(zeros, b.num(0)), b.div(sum(n.Output(0)), f.nonZero), b.only(first, sum(without)))
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

// reduceAgain reduces v, of the input's shape, over the axes of a reduction, which stay with size 1.
func (b *builder) reduceAgain(op string, n *onnx.Node, v value) value {
	attrs := []onnx.Attr{onnx.IntAttr("keepdims", 1)}
	axes := b.reductionAxes(n)
	if axesAreInput := op == "ReduceSum" || b.model.Opsets[""] >= 18; !axesAreInput {
		if a := n.Attr("axes"); a != nil {
			attrs = append(attrs, *a)
		}
		return b.with(op, []value{v}, attrs...)
	}
	if a := n.Attr("noop_with_empty_axes"); a != nil {
		attrs = append(attrs, *a)
	}
	if axes == "" {
		return b.with(op, []value{v}, attrs...)
	}
	return b.with(op, []value{v, axes}, attrs...)
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
