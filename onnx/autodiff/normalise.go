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
	axes := b.axesFrom(b.axis(n, x, -1), x)
	h, r := b.layerStandardised(n, axes)
	if i == 1 {
		return b.sumTo(b.narrow(b.mul(b.widen(dy), h)), s, y)
	}
	return b.narrow(b.destandardise(b.widen(b.mul(dy, s)), h, r, axes))
}

// layerStandardised is h and r of layerNorm. The operator gives the mean and r as outputs of its own, in float; for double
// they are computed again.
func (b *builder) layerStandardised(n *onnx.Node, axes []int64) (h, r value) {
	if b.dtype == onnx.Double {
		return b.standardised(n.Input(0), float64(n.Float("epsilon", 1e-5)), axes)
	}
	mean, r := b.extraOutput(n, 1), b.extraOutput(n, 2)
	return b.mul(b.sub(b.widen(n.Input(0)), mean), r), r
}

// standardised is h = (x - mean)*r and r = 1/√(variance + ε), over axes.
func (b *builder) standardised(x value, epsilon float64, axes []int64) (h, r value) {
	centred := b.sub(x, b.meanKeep(x, axes...))
	r = b.inverseRoot(b.meanKeep(b.square(centred), axes...), epsilon)
	return b.mul(centred, r), r
}

// inverseRoot is 1/√(v + ε).
func (b *builder) inverseRoot(v value, epsilon float64) value {
	return b.op("Reciprocal", b.op("Sqrt", b.add(v, b.num(epsilon))))
}

// destandardise is the cotangent of x where g is that of h, its standardised form.
func (b *builder) destandardise(g, h, r value, axes []int64) value {
	return b.mul(b.sub(b.sub(g, b.meanKeep(g, axes...)), b.mul(h, b.meanKeep(b.mul(g, h), axes...))), r)
}

// axesFrom are the axes of x from one on.
func (b *builder) axesFrom(first int64, x value) []int64 { return axesUpTo(b.rank(x))[first:] }

// y = s*h with h = x*r, r = 1/√(mean(x²) + ε): dx = (g - h*mean(g*h))*r with g = dy*s; ds = dy*h, summed over what shares s.
func rmsNorm(b *builder, n *onnx.Node, dy value, i int) value {
	x, s := n.Input(0), n.Input(1)
	axes := b.axesFrom(b.axis(n, x, -1), x)
	wide := b.widen(x)
	r := b.inWide(func() value {
		return b.inverseRoot(b.meanKeep(b.square(wide), axes...), float64(n.Float("epsilon", 1e-5)))
	})
	h := b.mul(wide, r)
	if i == 1 {
		return b.sumTo(b.narrow(b.mul(b.widen(dy), h)), s, n.Output(0))
	}
	g := b.widen(b.mul(dy, s))
	return b.narrow(b.mul(b.sub(g, b.mul(h, b.meanKeep(b.mul(g, h), axes...))), r))
}

// inWide writes a formula whose numbers are of the type that sums are computed in.
func (b *builder) inWide(formula func() value) value {
	t := b.dtype
	defer func() { b.dtype = t }()
	if t == onnx.Float16 || t == onnx.BFloat16 {
		b.dtype = onnx.Float
	}
	return formula()
}

// y = s*h + c with h = (x - mean)/√(variance + ε) over all axes behind the channels, s and c one number a channel: as
// layerNorm.
func instanceNorm(b *builder, n *onnx.Node, dy value, i int) value {
	x := n.Input(0)
	axes := b.axesFrom(2, x)
	h, r := b.standardised(x, float64(n.Float("epsilon", 1e-5)), axes)
	perChannel := append([]int64{0}, axes...)
	switch i {
	case 1:
		return b.sumDrop(b.mul(dy, h), perChannel...)
	case 2:
		return b.sumDrop(dy, perChannel...)
	}
	return b.destandardise(b.mul(dy, b.perChannel(n.Input(1), x)), h, r, axes)
}

// perChannel is a vector with one number a channel in a shape that broadcasts against x [rows, channels, ...].
func (b *builder) perChannel(v, x value) value {
	shape := []int64{-1}
	for range b.rank(x) - 2 {
		shape = append(shape, 1)
	}
	return b.op("Reshape", v, b.vec(shape...))
}

// y = s*h + c with h = (x - mean)*r, r = 1/√(variance + ε), where mean and variance are inputs, one number a channel like s
// and c: dx = dy*s*r, ds = Σdy*h, dc = Σdy, dmean = -Σdy*s*r, dvariance = -Σdy*(x - mean)*s*r³/2.
func batchNorm(b *builder, n *onnx.Node, dy value, i int) value {
	x, s := n.Input(0), n.Input(1)
	r := b.inverseRoot(n.Input(4), float64(n.Float("epsilon", 1e-5)))
	axes := append([]int64{0}, b.axesFrom(min(2, int64(b.rank(x))), x)...)
	sum := b.sumDrop(dy, axes...)
	switch i {
	case 0:
		return b.mul(dy, b.perChannel(b.mul(s, r), x))
	case 2:
		return sum
	case 3:
		return b.neg(b.mul(sum, b.mul(s, r)))
	}
	ds := b.mul(b.sumDrop(b.mul(dy, b.sub(x, b.perChannel(n.Input(3), x))), axes...), r)
	if i == 1 {
		return ds
	}
	return b.times(b.mul(ds, b.mul(s, b.square(r))), -0.5)
}

// trains finds a BatchNormalization that takes mean and variance from its input.
func trains(b *builder, n *onnx.Node) string {
	if n.Int("training_mode", 0) != 0 || b.model.Opsets[""] < 14 && len(n.Outputs) > 1 {
		return "there is no rule for training_mode: export the model for inference"
	}
	return rankUnknown(0)(b, n)
}

// groupNorm: y = s*h + c where h is x standardised over each group of channels. From opset 21 on s and c have one number a
// channel, before one a group.
func groupNorm(b *builder, n *onnx.Node) []value {
	x, groups := n.Input(0), n.Int("num_groups", 1)
	flat := b.op("Reshape", x, b.vec(0, groups, -1))
	h, _ := b.standardised(flat, float64(n.Float("epsilon", 1e-5)), []int64{2})
	if b.model.Opsets[""] < 21 {
		column := b.vec(-1, 1)
		y := b.add(b.mul(h, b.op("Reshape", n.Input(1), column)), b.op("Reshape", n.Input(2), column))
		return []value{b.op("Reshape", y, b.op("Shape", x))}
	}
	h = b.op("Reshape", h, b.op("Shape", x))
	return []value{b.add(b.mul(h, b.perChannel(n.Input(1), x)), b.perChannel(n.Input(2), x))}
}

// meanVarianceNorm: y = (x - mean)/(√variance + 1e-9) over axes.
func meanVarianceNorm(b *builder, n *onnx.Node, dy value, _ int) value {
	axes := n.Ints("axes")
	if axes == nil {
		axes = []int64{0, 2, 3}
	}
	h, r := b.standardised(n.Input(0), 0, axes)
	return b.destandardise(dy, h, r, axes)
}

// y = x/‖x‖ along an axis: for the 2-norm dx = (dy - y*Σdy*y)/‖x‖, for the 1-norm dx = (dy - sign(x)*Σdy*y)/‖x‖. Where x is
// zero, so is y, and the slope of nothing is taken to be zero.
func lpNorm(b *builder, n *onnx.Node, dy value, _ int) value {
	x, y := n.Input(0), n.Output(0)
	axis := n.Int("axis", -1)
	norm, slope := b.op("Sqrt", b.sumKeep(b.square(x), axis)), y
	if n.Int("p", 2) == 1 {
		norm, slope = b.sumKeep(b.op("Abs", x), axis), b.op("Sign", x)
	}
	return b.mul(b.sub(dy, b.mul(slope, b.sumKeep(b.mul(dy, y), axis))), b.inverse(norm, 1))
}

// y = x*s^-β with s = κ + α*m, where m is the mean of x² over a window of channels (counted as full at the borders):
// dx = dy*s^-β - 2αβ*x*w, w being the mean over the mirrored window of dy*x*s^(-β-1).
func localResponseNorm(b *builder, n *onnx.Node, dy value, _ int) value {
	x, size := n.Input(0), n.Int("size", 1)
	alpha, beta, kappa := float64(n.Float("alpha", 1e-4)), float64(n.Float("beta", 0.75)), float64(n.Float("bias", 1))
	before := (size - 1) / 2
	s := b.add(b.times(b.channelMean(b.square(x), x, before, size-1-before), alpha), b.num(kappa))
	w := b.channelMean(b.mul(b.mul(dy, x), b.pow(s, b.num(-beta-1))), x, size-1-before, before)
	return b.sub(b.mul(dy, b.pow(s, b.num(-beta))), b.times(b.mul(x, w), 2*alpha*beta))
}

// channelMean averages v, of x's shape, over each channel with so many before it and after it.
func (b *builder) channelMean(v, x value, before, after int64) value {
	plane := b.op("Reshape", v, b.concat(b.sizeOf(x, 0), b.vec(1), b.sizeOf(x, 1), b.vec(-1)))
	mean := b.with("AveragePool", []value{plane}, onnx.IntsAttr("kernel_shape", before+1+after, 1),
		onnx.IntsAttr("pads", before, 0, after, 0), onnx.IntAttr("count_include_pad", 1))
	return b.reshapeLike(mean, x)
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
