package autodiff

import (
	"math/rand/v2"

	"metalora/onnx"
)

var normaliseDraws = map[op]generator{
	{"", "Softmax"}:            always(drawAlongAxis("Softmax", anything)),
	{"", "LogSoftmax"}:         always(drawAlongAxis("LogSoftmax", anything)),
	{"", "LayerNormalization"}: since(17, drawLayerNorm),

	{"", "RMSNormalization"}:             since(23, drawRMSNorm("RMSNormalization")),
	{"", "SimplifiedLayerNormalization"}: always(drawRMSNorm("SimplifiedLayerNormalization")),
	{"", "InstanceNormalization"}:        always(drawInstanceNorm.inFloat()),
	{"", "BatchNormalization"}:           always(drawBatchNorm),
	{"", "GroupNormalization"}:           since(18, drawGroupNorm.inFloat()),
	{"", "MeanVarianceNormalization"}:    always(drawMeanVariance.inFloat()),
	{"", "LpNormalization"}:              always(drawLpNorm),
	{"", "LRN"}:                          always(drawLRN.inFloat()),
}

// drawRMSNorm draws normalisations by the root of the mean square, over one axis and more.
func drawRMSNorm(name string) draw {
	return func(r *rand.Rand, _ int64) testCase {
		shape := anyShape(r, 1, 4)
		axis := anyAxis(r, len(shape))
		over := shape[within(axis, len(shape)):]
		if name != "RMSNormalization" { // whose kernel knows one axis
			axis, over = -1, shape[len(shape)-1:]
		}
		return node(name, append(ints("axis", axis), onnx.FloatAttr("epsilon", 0.1)), of(anything, shape, over)...)
	}
}

// channelled is a shape [rows, channels, ...] of so many channels.
func channelled(r *rand.Rand, channels, least, most int) []int {
	return append(dims(anySize(r), channels), anyShape(r, least, most)...)
}

var drawInstanceNorm draw = func(r *rand.Rand, _ int64) testCase {
	channels := 1 + r.IntN(3)
	return node("InstanceNormalization", floats("epsilon", 0.1), of(anything, channelled(r, channels, 1, 3), dims(channels), dims(channels))...)
}

// drawBatchNorm draws normalisations in the form for inference, by given means and variances.
func drawBatchNorm(r *rand.Rand, _ int64) testCase {
	channels := 1 + r.IntN(3)
	one := dims(channels)
	in := append(of(anything, channelled(r, channels, 0, 3), one, one, one), input{one, positive})
	return node("BatchNormalization", floats("epsilon", 0.1), in...)
}

// drawGroupNorm draws groups of channels, with gains for each group (before opset 21) or channel.
var drawGroupNorm draw = func(r *rand.Rand, opset int64) testCase {
	groups, size := 1+r.IntN(2), 1+r.IntN(2)
	gains := dims(groups)
	if opset >= 21 {
		gains = dims(groups * size)
	}
	attrs := append(ints("num_groups", int64(groups)), onnx.FloatAttr("epsilon", 0.1))
	return node("GroupNormalization", attrs, of(anything, channelled(r, groups*size, 1, 2), gains, gains)...)
}

// drawMeanVariance draws standardisations of an image over all but the channels, or over other axes.
var drawMeanVariance draw = func(r *rand.Rand, _ int64) testCase {
	shape := dims(1+r.IntN(2), 1+r.IntN(2), 2, 2+r.IntN(2))
	if r.IntN(2) == 0 {
		return node("MeanVarianceNormalization", nil, of(wideApart, shape)...)
	}
	axes := oneOf(r, [][]int64{{0, 2, 3}, {2, 3}, {1, 2, 3}, {0, 1, 2, 3}})
	return node("MeanVarianceNormalization", []onnx.Attr{onnx.IntsAttr("axes", axes...)}, of(wideApart, shape)...)
}

// wideApart keeps variances far from zero.
func wideApart(r *rand.Rand, i int) float64 { return float64(i%2*3) + r.Float64() }

func drawLpNorm(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 1, 4)
	attrs := ints("axis", anyAxis(r, len(shape)))
	if r.IntN(2) == 0 {
		attrs = append(attrs, onnx.IntAttr("p", 1))
	}
	return node("LpNormalization", attrs, input{shape, offZero})
}

// drawLRN draws windows of an odd number of channels, as the runtime asks, also wider than there are.
var drawLRN draw = func(r *rand.Rand, _ int64) testCase {
	attrs := append(ints("size", int64(oneOf(r, []int{1, 3, 5}))), onnx.FloatAttr("alpha", 0.5), onnx.FloatAttr("beta", 0.7), onnx.FloatAttr("bias", 2))
	return node("LRN", attrs, input{channelled(r, 1+r.IntN(5), 2, 2), anything})
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
