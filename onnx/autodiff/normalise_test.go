package autodiff

import "metalora/onnx"

var normaliseCases = map[op][]testCase{
	{"", "Softmax"}:    alongAxes("Softmax"),
	{"", "LogSoftmax"}: alongAxes("LogSoftmax"),
	{"", "LayerNormalization"}: {
		node("LayerNormalization", nil, of(anything, dims(2, 5), dims(5), dims(5))...),
		node("LayerNormalization", nil, of(anything, dims(2, 1, 3), dims(3))...),
		node("LayerNormalization", ints("axis", 1), of(anything, dims(2, 2, 3), dims(2, 3), dims(2, 3))...),
		node("LayerNormalization", ints("axis", -2), of(anything, dims(1, 2, 3), dims(2, 3))...),
		node("LayerNormalization", ints("axis", 0), of(anything, dims(5), dims(5), dims(5))...),
		node("LayerNormalization", []onnx.Attr{onnx.FloatAttr("epsilon", 0.3)}, of(anything, dims(3, 4), dims(4), dims(4))...),
		{name: "opset 17", opset: 17, inputs: of(anything, dims(2, 5), dims(5), dims(5)), build: func(b *onnx.Builder, in []string) string {
			return b.Op("LayerNormalization", in)
		}},
		{name: "twice", inputs: of(anything, dims(2, 3), dims(3), dims(3)), build: func(b *onnx.Builder, in []string) string {
			y := b.Op("LayerNormalization", in)
			return b.Op("LayerNormalization", []string{b.Op("Add", []string{y, in[0]}), in[1], in[2]})
		}},
	},
}

func alongAxes(name string) []testCase {
	return []testCase{
		node(name, nil, of(anything, dims(2, 3))...), node(name, ints("axis", 0), of(anything, dims(3, 2))...),
		node(name, ints("axis", 1), of(anything, dims(2, 3, 2))...), node(name, nil, of(anything, dims(5))...),
		node(name, ints("axis", -2), of(anything, dims(1, 2, 1, 3))...), node(name, nil, of(anything, dims(2, 1))...),
	}
}
