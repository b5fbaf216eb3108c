package autodiff

import (
	"math"

	"metalora/onnx"
)

// y = tanh(x): dx = dy*(1 - y²).
func tanh(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(dy, b.sub(b.num(1), b.square(n.Output(0))))
}

// y = 1/(1 + exp(-x)): dx = dy*y*(1 - y).
func sigmoid(b *builder, n *onnx.Node, dy value, _ int) value {
	y := n.Output(0)
	return b.mul(dy, b.mul(y, b.sub(b.num(1), y)))
}

// y = log(1 + exp(x)): dx = dy*sigmoid(x).
func softplus(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(dy, b.op("Sigmoid", n.Input(0)))
}

// y = x/(1 + |x|): dx = dy/(1 + |x|)².
func softsign(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.div(dy, b.square(b.add(b.num(1), b.op("Abs", n.Input(0)))))
}

// y = max(x, 0): dx = dy where x > 0.
func relu(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.only(b.greater(n.Input(0), b.num(0)), dy)
}

// y = x for x > 0, else a*x: dx = dy, else a*dy.
func leakyRelu(b *builder, n *onnx.Node, dy value, _ int) value {
	a := float64(n.Float("alpha", 0.01))
	return b.where(b.greater(n.Input(0), b.num(0)), dy, b.times(dy, a))
}

// y = x for x > 0, else a*(exp(x) - 1): dx = dy, else dy*(y + a).
func elu(b *builder, n *onnx.Node, dy value, _ int) value {
	a := float64(n.Float("alpha", 1))
	return b.where(b.greater(n.Input(0), b.num(0)), dy, b.mul(dy, b.add(n.Output(0), b.num(a))))
}

// y = x*h, h = max(0, min(1, x/6 + 1/2)): dx = dy*(h + x/6 where |x| < 3).
func hardSwish(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	h := b.with("HardSigmoid", []value{x}, onnx.FloatAttr("alpha", 1./6), onnx.FloatAttr("beta", 0.5))
	inside := b.less(b.op("Abs", x), b.num(3))
	return b.mul(dy, b.add(h, b.only(inside, b.times(x, 1./6))))
}

// y = erf(x): dx = dy*2/√π*exp(-x²).
func erf(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.div(b.times(dy, 2/math.Sqrt(math.Pi)), b.exp(b.square(n.Input(0))))
}

// y = gelu(x): dx = dy*gelu'(x), in the form that the node asks for.
func gelu(b *builder, n *onnx.Node, dy value, _ int) value {
	if a := n.Attr("approximate"); a != nil && a.S == "tanh" {
		return b.mul(dy, tanhGeluSlope(b, n.Input(0)))
	}
	return b.mul(dy, geluSlope(b, n.Input(0)))
}

// gelu(x) = x*Φ(x), so gelu'(x) = Φ(x) + x*φ(x) = (1 + erf(u))/2 + u/(√π exp(u²)) with u = x/√2. It is written for few passes
// over memory: HardSigmoid is (1 + e)/2 in one, and dividing by exp(u²), which may be infinite, saves negating u².
func geluSlope(b *builder, x value) value {
	u := b.times(x, 1/math.Sqrt2)
	phi := b.with("HardSigmoid", []value{b.op("Erf", u)}, onnx.FloatAttr("alpha", 0.5), onnx.FloatAttr("beta", 0.5))
	return b.add(phi, b.times(b.div(u, b.exp(b.square(u))), 1/math.Sqrt(math.Pi)))
}

// gelu(x) = x*(1 + t)/2 with t = tanh(c*(x + a*x³)), so gelu'(x) = (1 + t)/2 + x*(1 - t²)/2*c*(1 + 3a*x²).
func tanhGeluSlope(b *builder, x value) value {
	const a = 0.044715
	c := math.Sqrt(2 / math.Pi)
	xx := b.square(x)
	t := b.op("Tanh", b.mul(x, b.add(b.times(xx, c*a), b.num(c))))
	inner := b.mul(x, b.add(b.times(xx, 3*a*c/2), b.num(c/2)))
	half := b.add(b.times(t, 0.5), b.num(0.5))
	return b.add(half, b.mul(b.sub(b.num(1), b.square(t)), inner))
}

// y = x for x > 0, else a*(exp(x/a) - 1): dx = dy, else dy*(y/a + 1).
func celu(b *builder, n *onnx.Node, dy value, _ int) value {
	a := float64(n.Float("alpha", 1))
	slope := b.add(b.times(n.Output(0), 1/a), b.num(1))
	return b.where(b.greater(n.Input(0), b.num(0)), dy, b.mul(dy, slope))
}

// y = c*x for x > 0, else c*a*(exp(x) - 1): dx = c*dy, else dy*(y + c*a).
func selu(b *builder, n *onnx.Node, dy value, _ int) value {
	a, c := float64(n.Float("alpha", 1.67326319217681884765625)), float64(n.Float("gamma", 1.05070102214813232421875))
	return b.where(b.greater(n.Input(0), b.num(0)), b.times(dy, c), b.mul(dy, b.add(n.Output(0), b.num(c*a))))
}

// y = x for x > a, else 0: dx = dy, else 0.
func thresholdedRelu(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.only(b.greater(n.Input(0), b.num(float64(n.Float("alpha", 1)))), dy)
}

// y = max(0, min(1, a*x + c)): dx = a*dy where 0 < y < 1.
func hardSigmoid(b *builder, n *onnx.Node, dy value, _ int) value {
	inside := b.less(b.op("Abs", b.sub(n.Output(0), b.num(0.5))), b.num(0.5))
	return b.only(inside, b.times(dy, float64(n.Float("alpha", 0.2))))
}

// y = x*t with t = tanh(softplus(x)): dx = dy*(t + x*(1 - t²)*sigmoid(x)).
func mish(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	t := b.op("Tanh", b.op("Softplus", x))
	return b.mul(dy, b.add(t, b.mul(b.mul(x, b.op("Sigmoid", x)), b.sub(b.num(1), b.square(t)))))
}

// y = x moved towards zero by c where |x| > l, else 0: dx = dy where |x| > l.
func shrink(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.only(b.greater(b.op("Abs", n.Input(0)), b.num(float64(n.Float("lambd", 0.5)))), dy)
}
