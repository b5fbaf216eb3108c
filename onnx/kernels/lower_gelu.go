package kernels

import (
	"math"

	"metalora/onnx"
)

// The slope of Gelu as autodiff writes it: Φ(x) + x φ(x) = (1 + erf u)/2 + u/(√π exp u²), u = x/√2.
var geluSlope = func() pattern {
	u := named("u", node("Mul", as("x"), number(1/math.Sqrt2)))
	phi := attributes(node("HardSigmoid", node("Erf", u)), map[string]float32{"alpha": 0.5, "beta": 0.5})
	return node("Add", phi, node("Mul", node("Div", as("u"), node("Exp", node("Mul", as("u"), as("u")))), number(1/math.Sqrt(math.Pi))))
}()

// The slope of the tanh form: (1 + t)/2 + (1 - t²) x (c/2 + 3ac/2 x²), t = tanh(x (c + ac x²)).
var tanhSlope = func() pattern {
	const a = 0.044715
	c := math.Sqrt(2 / math.Pi)
	square := named("xx", node("Mul", as("x"), as("x")))
	polynomial := func(linear, cubic float64) pattern {
		return node("Mul", as("x"), node("Add", node("Mul", square, number(cubic)), number(linear)))
	}
	t := named("t", node("Tanh", polynomial(c, c*a)))
	half := node("Add", node("Mul", t, number(0.5)), number(0.5))
	return node("Add", half, node("Mul", node("Sub", number(1), node("Mul", as("t"), as("t"))), polynomial(c/2, 3*a*c/2)))
}()

// gelu replaces the forward operator.
func (l *lowering) gelu(n *onnx.Node) {
	if n.Op != "Gelu" || !l.float(n.Input(0)) {
		return
	}
	tanh := int64(0)
	if a := n.Attr("approximate"); a != nil && a.S == "tanh" {
		tanh = 1
	}
	l.replace(n, of(n, "Gelu", n.Inputs[:1], n.Outputs[:1], onnx.IntAttr("tanh", tanh)))
}

// geluGrad replaces dy * gelu'(x).
func (l *lowering) geluGrad(n *onnx.Node) {
	if n.Op != "Mul" || !l.float(n.Output(0)) {
		return
	}
	for tanh, slope := range []pattern{geluSlope, tanhSlope} {
		letters, ok := l.find(node("Mul", as("dy"), slope), n.Output(0))
		if ok && l.same(letters["dy"], letters["x"]) {
			l.replace(n, of(n, "GeluGrad", []string{letters["dy"], letters["x"]}, n.Outputs, onnx.IntAttr("tanh", int64(tanh))))
			return
		}
	}
}
