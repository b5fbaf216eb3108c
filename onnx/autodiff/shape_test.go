package autodiff

import "metalora/onnx"

var shapeCases = map[op][]testCase{
	{"", "Reshape"}: {
		shaped("Reshape", dims(2, 3), 3, -1), shaped("Reshape", dims(2, 1, 3), 0, 3, 1), shaped("Reshape", dims(1), 1, 1), shaped("Reshape", dims()),
	},
	{"", "Flatten"}: {
		node("Flatten", nil, of(anything, dims(2, 3, 1))...), node("Flatten", ints("axis", 0), of(anything, dims(2, 3))...),
		node("Flatten", ints("axis", -1), of(anything, dims(2, 1, 3))...),
	},
	{"", "Squeeze"}:   {node("Squeeze", nil, of(anything, dims(1, 3, 1))...), shaped("Squeeze", dims(1, 3, 1), 0), shaped("Squeeze", dims(2, 1, 3, 1), -1, 1)},
	{"", "Unsqueeze"}: {shaped("Unsqueeze", dims(2, 3), 1), shaped("Unsqueeze", dims(3), 0, -1), shaped("Unsqueeze", dims(), 0)},
	{"", "Transpose"}: {
		node("Transpose", nil, of(anything, dims(2, 3))...), node("Transpose", ints("perm", 2, 0, 1), of(anything, dims(2, 1, 3))...),
		node("Transpose", ints("perm", 0, 2, 1, 3), of(anything, dims(2, 3, 2, 1))...),
	},
	{"", "Concat"}: {
		node("Concat", ints("axis", 0), of(anything, dims(2, 3), dims(1, 3))...), node("Concat", ints("axis", 0), of(anything, dims(3))...),
		node("Concat", ints("axis", -1), of(anything, dims(2, 1), dims(2, 3), dims(2, 2))...),
		node("Concat", ints("axis", 1), of(anything, dims(1, 1, 2), dims(1, 3, 2))...),
	},
	{"", "Split"}: {
		{name: "in three, one unused", inputs: of(anything, dims(2, 5)), build: func(b *onnx.Builder, in []string) string {
			parts := b.Node("", "Split", []string{in[0], b.Ints(2, 1, 2)}, 3, onnx.IntAttr("axis", -1))
			return b.Op("Mul", []string{parts[0], parts[2]})
		}},
		{name: "in halves", inputs: of(anything, dims(4)), build: func(b *onnx.Builder, in []string) string {
			parts := b.Node("", "Split", in, 2, onnx.IntAttr("num_outputs", 2))
			return b.Op("Mul", []string{parts[0], b.Op("Exp", parts[1:])})
		}},
		{name: "second half", inputs: of(anything, dims(4, 1)), opset: 17, build: func(b *onnx.Builder, in []string) string {
			return b.Node("", "Split", in, 2)[1]
		}},
	},
	{"", "Expand"}: {
		shaped("Expand", dims(3), 2, 3), shaped("Expand", dims(2, 1), 1, 3), shaped("Expand", dims(1, 3), 1), shaped("Expand", dims(), 2, 2), shaped("Expand", dims(2, 1, 3), 2, 1, 1),
		{name: "by a computed shape", inputs: of(anything, dims(1, 3), dims(2, 1)), build: func(b *onnx.Builder, in []string) string {
			wide := b.Op("Shape", []string{b.Op("Add", in)})
			return b.Op("Expand", []string{in[1], wide})
		}},
	},
	{"", "Tile"}: {shaped("Tile", dims(2, 3), 1, 2), shaped("Tile", dims(3), 3), shaped("Tile", dims(1, 2, 1), 2, 2, 2)},
	{"", "Pad"}: {
		shaped("Pad", dims(2, 3), 0, 1, 2, 0), shaped("Pad", dims(3), -1, 2),
		{name: "with a value", inputs: of(anything, dims(2, 3), dims()), build: func(b *onnx.Builder, in []string) string {
			return b.Op("Pad", []string{in[0], b.Ints(1, 0, 1, 2), in[1]})
		}},
		{name: "on one axis", inputs: of(anything, dims(2, 3)), build: func(b *onnx.Builder, in []string) string {
			return b.Op("Pad", []string{in[0], b.Ints(1, 2), "", b.Ints(-1)})
		}},
	},
	{"", "Trilu"}: {
		node("Trilu", nil, of(anything, dims(3, 3))...), node("Trilu", ints("upper", 0), of(anything, dims(2, 3))...),
		{name: "above the diagonal", inputs: of(anything, dims(2, 3, 3)), build: func(b *onnx.Builder, in []string) string {
			return b.Op("Trilu", []string{in[0], b.Int(1)})
		}},
	},
}

// shaped is a case of an operator whose second input is a constant vector of integers.
func shaped(name string, shape []int, vector ...int64) testCase {
	c := node(name, ints("vector", vector...), of(anything, shape)...)
	c.build = func(b *onnx.Builder, in []string) string { return b.Op(name, []string{in[0], b.Ints(vector...)}) }
	return c
}

// ints is one attribute: an integer, or a list of them.
func ints(name string, xs ...int64) []onnx.Attr {
	if len(xs) == 1 && name != "vector" {
		return []onnx.Attr{onnx.IntAttr(name, xs[0])}
	}
	return []onnx.Attr{onnx.IntsAttr(name, xs...)}
}
