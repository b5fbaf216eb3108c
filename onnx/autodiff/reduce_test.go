package autodiff

import (
	"fmt"
	"math/rand/v2"

	"metalora/onnx"
)

var reduceCases = map[op][]testCase{
	{"", "ReduceSum"}:       reductions("ReduceSum", anything),
	{"", "ReduceMean"}:      reductions("ReduceMean", anything),
	{"", "ReduceMax"}:       reductions("ReduceMax", distinct),
	{"", "ReduceMin"}:       reductions("ReduceMin", distinct),
	{"", "ReduceL1"}:        reductions("ReduceL1", offZero),
	{"", "ReduceL2"}:        reductions("ReduceL2", offZero),
	{"", "ReduceSumSquare"}: reductions("ReduceSumSquare", anything),
	{"", "ReduceLogSumExp"}: reductions("ReduceLogSumExp", anything),

	{"", "CumSum"}: {
		cumulative(dims(4), 0, 0, 0), cumulative(dims(2, 3), 1, 1, 0), cumulative(dims(2, 3), -1, 0, 1), cumulative(dims(3, 1, 2), 0, 1, 1),
	},
}

// reductions are the cases of a reduction: over all axes, some, the last, all but one; axes that stay and vanish, and axes in
// the form of older operator sets.
func reductions(name string, values func(*rand.Rand, int) float64) []testCase {
	var cs []testCase
	for keep := range int64(2) {
		for _, axes := range [][]int64{nil, {0}, {-1}, {1, 2}, {0, -1}} {
			cs = append(cs, reduction(name, dims(2, 3, 2), axes, keep, 20, values), reduction(name, dims(2, 3, 2), axes, keep, 13, values))
		}
		cs = append(cs, reduction(name, dims(1, 5), []int64{0}, keep, 20, values), reduction(name, dims(3, 1), []int64{1}, keep, 20, values))
	}
	noop := onnx.IntAttr("noop_with_empty_axes", 1)
	return append(cs, node(name, []onnx.Attr{noop}, input{dims(2, 2), values}), testCase{
		name: "over axes that are computed", inputs: []input{{dims(2, 3), values}}, build: func(b *onnx.Builder, in []string) string {
			axes := b.Op("Reshape", []string{b.Op("Size", []string{b.Op("Unsqueeze", []string{b.Int(0), b.Ints(0)})}), b.Ints(1)})
			return b.Op(name, []string{in[0], axes}, onnx.IntAttr("keepdims", 0))
		}})
}

func reduction(name string, shape []int, axes []int64, keep, opset int64, values func(*rand.Rand, int) float64) testCase {
	return testCase{
		name: fmt.Sprintf("%v over %v keep=%d opset=%d", shape, axes, keep, opset), inputs: []input{{shape, values}}, opset: opset,
		build: func(b *onnx.Builder, in []string) string {
			kept := onnx.IntAttr("keepdims", keep)
			switch {
			case axes == nil:
				return b.Op(name, in, kept)
			case opset >= 18 || name == "ReduceSum":
				return b.Op(name, []string{in[0], b.Ints(axes...)}, kept)
			}
			return b.Op(name, in, kept, onnx.IntsAttr("axes", axes...))
		}}
}

func cumulative(shape []int, axis, exclusive, reverse int64) testCase {
	return testCase{
		name: fmt.Sprintf("%v along %d exclusive=%d reverse=%d", shape, axis, exclusive, reverse), inputs: of(anything, shape),
		build: func(b *onnx.Builder, in []string) string {
			return b.Op("CumSum", []string{in[0], b.Int(axis)}, onnx.IntAttr("exclusive", exclusive), onnx.IntAttr("reverse", reverse))
		}}
}
