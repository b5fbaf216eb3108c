package autodiff

import (
	"fmt"
	"math/rand/v2"

	"metalora/onnx"
)

var elementwiseDraws = map[op]generator{
	{"", "Add"}:   always(drawBroadcast("", "Add", anything, anything)),
	{"", "Sub"}:   always(drawBroadcast("", "Sub", anything, anything)),
	{"", "Mul"}:   always(drawBroadcast("", "Mul", anything, anything)),
	{"", "Div"}:   always(drawBroadcast("", "Div", anything, offZero)),
	{"", "Pow"}:   always(drawOneOf(drawBroadcast("", "Pow", positive, anything), drawPower)),
	{"", "PRelu"}: always(drawPRelu.inFloat()),
	{"", "Min"}:   always(drawSeveral("Min")),
	{"", "Max"}:   always(drawSeveral("Max")),
	{"", "Sum"}:   always(drawSeveral("Sum")),
	{"", "Mean"}:  always(drawSeveral("Mean").inFloat()),
	{"", "Where"}: always(drawWhere),
	{"", "Clip"}:  always(drawClip),
	{"", "Mod"}:   always(drawMod),

	{"", "Neg"}:        always(drawUnary("Neg", anything)),
	{"", "Abs"}:        always(drawUnary("Abs", offZero)),
	{"", "Sqrt"}:       always(drawUnary("Sqrt", positive)),
	{"", "Reciprocal"}: always(drawUnary("Reciprocal", offZero)),
	{"", "Exp"}:        always(drawUnary("Exp", anything)),
	{"", "Log"}:        always(drawUnary("Log", positive)),
	{"", "Sin"}:        always(drawUnary("Sin", anything)),
	{"", "Cos"}:        always(drawUnary("Cos", anything)),
	{"", "Tan"}:        always(drawUnary("Tan", between(-1.2, 1.2)).inFloat()),
	{"", "Asin"}:       always(drawUnary("Asin", between(-0.8, 0.8)).inFloat()),
	{"", "Acos"}:       always(drawUnary("Acos", between(-0.8, 0.8)).inFloat()),
	{"", "Atan"}:       always(drawUnary("Atan", anything).inFloat()),
	{"", "Sinh"}:       always(drawUnary("Sinh", anything).inFloat()),
	{"", "Cosh"}:       always(drawUnary("Cosh", anything).inFloat()),
	{"", "Asinh"}:      always(drawUnary("Asinh", anything).inFloat()),
	{"", "Acosh"}:      always(drawUnary("Acosh", between(1.3, 4)).inFloat()),
	{"", "Atanh"}:      always(drawUnary("Atanh", between(-0.8, 0.8)).inFloat()),
	{"", "Tanh"}:       always(drawUnary("Tanh", anything)),
	{"", "Sigmoid"}:    always(drawUnary("Sigmoid", anything)),
	{"", "Swish"}:      since(24, drawSwish),
	{"", "Softplus"}:   always(drawUnary("Softplus", anything).inFloat()),
	{"", "Softsign"}:   always(drawUnary("Softsign", offZero).inFloat()),
	{"", "Relu"}:       always(drawUnary("Relu", offZero)),
	{"", "LeakyRelu"}:  always(drawUnary("LeakyRelu", offZero, floats("alpha", 0.3)).inFloat()),
	{"", "Elu"}:        always(drawUnary("Elu", offZero, floats("alpha", 0.7)).inFloat()),
	{"", "HardSwish"}:  since(14, drawUnary("HardSwish", times(4, grid(0.05))).inFloat()),
	{"", "Celu"}:       since(12, drawUnary("Celu", offZero, floats("alpha", 0.7)).inFloat()),
	{"", "Selu"}:       always(drawUnary("Selu", offZero, append(floats("alpha", 0.7), floats("gamma", 1.3)...)).inFloat()),
	{"", "Mish"}:       since(18, drawUnary("Mish", anything).inFloat()),
	{"", "Shrink"}:     always(drawUnary("Shrink", grid(0.05), append(floats("lambd", 0.8), floats("bias", 0.3)...)).inFloat()),

	{"", "ThresholdedRelu"}: always(drawUnary("ThresholdedRelu", grid(0.05), floats("alpha", 0.5)).inFloat()),
	{"", "HardSigmoid"}:     always(drawUnary("HardSigmoid", times(4, grid(0.08)), append(floats("alpha", 0.3), floats("beta", 0.4)...)).inFloat()),

	{"", "Erf"}:      always(drawUnary("Erf", anything).inFloat()),
	{"", "Gelu"}:     since(20, drawUnary("Gelu", times(2, anything), []onnx.Attr{onnx.StringAttr("approximate", "tanh")}).inFloat()),
	{"", "Identity"}: always(drawUnary("Identity", anything)),
	{"", "Dropout"}:  always(drawUnary("Dropout", anything)),
	{"", "Cast"}:     always(drawCast("Cast")),
	{"", "CastLike"}: since(15, drawCast("CastLike")),
}

// floats is one attribute.
func floats(name string, x float32) []onnx.Attr { return []onnx.Attr{onnx.FloatAttr(name, x)} }

// between gives numbers from low to high.
func between(low, high float64) values {
	return func(r *rand.Rand, _ int) float64 { return low + (high-low)*r.Float64() }
}

// drawMod draws remainders that stay away from where they jump.
func drawMod(r *rand.Rand, _ int64) testCase {
	shapes := broadcastTogether(r, 2)
	numerator := func(r *rand.Rand, _ int) float64 { return float64(r.IntN(9)-4) + 0.5 + 0.2*(r.Float64()-0.5) }
	return node("Mod", ints("fmod", 1), input{shapes[0], numerator}, input{shapes[1], between(0.99, 1.01)})
}

// drawPower draws a Pow by a plain number, of float or of integer type.
func drawPower(r *rand.Rand, _ int64) testCase {
	return oneOf(r, powers(-2, -1, 0, 0.5, 1, 2, 2.5, 3, 4))
}

// drawPRelu draws slopes that broadcast to x, never the other way.
var drawPRelu draw = func(r *rand.Rand, _ int64) testCase {
	x := anyShape(r, 1, 3)
	slope := append(dims(), x[r.IntN(len(x)+1):]...)
	for i := range slope {
		if r.IntN(3) == 0 {
			slope[i] = 1
		}
	}
	return node("PRelu", nil, input{x, offZero}, input{slope, anything})
}

// drawSeveral draws an operator of one to four inputs of which no two come near each other.
func drawSeveral(name string) draw {
	return func(r *rand.Rand, _ int64) testCase {
		var in []input
		for i, shape := range broadcastTogether(r, 1+r.IntN(4)) {
			in = append(in, input{shape, times(2, grid(0.07*float64(i)))})
		}
		return node(name, nil, in...)
	}
}

func drawWhere(r *rand.Rand, _ int64) testCase {
	shapes := broadcastTogether(r, 3)
	c := testCase{name: fmt.Sprint(shapes), inputs: of(offZero, shapes...)}
	c.build = func(b *onnx.Builder, in []string) string {
		return b.Op("Where", []string{isPositive(b, in[0]), in[1], in[2]})
	}
	return c
}

// drawClip draws a Clip with and without each of its bounds, which may cross.
func drawClip(r *rand.Rand, opset int64) testCase {
	kind, low := r.IntN(4), oneOf(r, []float64{-0.45, -0.45, 0.75})
	c := testCase{name: fmt.Sprint("bounds ", kind, low), inputs: []input{{anyShape(r, 0, 3), grid(0)}}, single: opset < 12}
	if kind&1 != 0 {
		c.inputs = append(c.inputs, input{dims(), constantly(low)})
	}
	if kind&2 != 0 {
		c.inputs = append(c.inputs, input{dims(), constantly(0.55)})
	}
	c.build = func(b *onnx.Builder, in []string) string {
		if kind == 2 {
			in = []string{in[0], "", in[1]}
		}
		return b.Op("Clip", in)
	}
	return c
}

// drawCast draws x squared in double and taken back to its own type.
func drawCast(name string) draw {
	return func(r *rand.Rand, _ int64) testCase {
		shape := anyShape(r, 0, 3)
		c := testCase{name: fmt.Sprint(shape), inputs: of(anything, shape), single: name == "Cast"}
		c.build = func(b *onnx.Builder, in []string) string {
			wide := b.Op("Cast", in, onnx.IntAttr("to", int64(onnx.Double)))
			square := b.Op("Mul", []string{wide, wide})
			if name == "CastLike" {
				return b.Op(name, []string{square, in[0]})
			}
			return b.Op("Cast", []string{square}, onnx.IntAttr("to", int64(onnx.Float)))
		}
		return c
	}
}

// drawSwish draws for the one operator set in which ONNX Runtime 1.30 runs Swish: as the function that defines it.
func drawSwish(r *rand.Rand, opset int64) testCase {
	c := drawUnary("Swish", anything, floats("alpha", 1.5))(r, opset)
	c.opset = 24
	return c
}
