package autodiff

import (
	"math/rand/v2"

	"metalora/onnx"
)

var normaliseDraws = map[op]generator{
	{"", "Softmax"}:            always(drawAlongAxis("Softmax", anything)),
	{"", "LogSoftmax"}:         always(drawAlongAxis("LogSoftmax", anything)),
	{"", "LayerNormalization"}: since(17, drawLayerNorm),
}

// drawAlongAxis draws an operator along one axis, or its default one.
func drawAlongAxis(name string, v values) draw {
	return func(r *rand.Rand, opset int64) testCase {
		shape := anyShape(r, 1, 4)
		if r.IntN(4) == 0 {
			return node(name, nil, input{shape, v})
		}
		return node(name, ints("axis", anyAxis(r, len(shape))), input{shape, v})
	}
}

// drawLayerNorm draws normalisations over one axis and more, with and without a bias.
func drawLayerNorm(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 1, 4)
	axis := anyAxis(r, len(shape))
	over := shape[within(axis, len(shape)):]
	in := of(anything, shape, over)
	if r.IntN(2) == 0 {
		in = append(in, input{over, anything})
	}
	return node("LayerNormalization", append(ints("axis", axis), onnx.FloatAttr("epsilon", 0.1)), in...)
}
