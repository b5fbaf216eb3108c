package autodiff

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/onnx"
)

var indexCases = map[op][]testCase{
	{"", "Slice"}: {
		sliced(dims(5), []int64{1}, []int64{4}), sliced(dims(2, 3), []int64{0, 1}, []int64{1, 99}), sliced(dims(5), []int64{-3}, []int64{-1}),
		sliced(dims(2, 5), []int64{1}, []int64{5}, 1), sliced(dims(2, 5), []int64{-2}, []int64{9}, -1), sliced(dims(3, 2, 5), []int64{0, 1}, []int64{5, 2}, 2, 0, 2, 1),
		sliced(dims(5), []int64{4}, []int64{-99}, 0, -2), sliced(dims(3, 4), []int64{-1, 0}, []int64{-4, 3}, 0, 1, -1, 3),
		{name: "computed", inputs: of(anything, dims(5)), build: func(b *onnx.Builder, in []string) string {
			end := b.Op("Sub", []string{b.Op("Shape", in), b.Ints(1)})
			return b.Op("Slice", []string{in[0], b.Op("Sub", []string{end, b.Ints(2)}), end})
		}},
	},
	{"", "Gather"}: {
		gathered(dims(4, 3), 0, dims(5), 1, 3, 1, 1, 0), gathered(dims(4, 3), 0, dims(2, 2), 1, -1, 3, 2), gathered(dims(4, 3), 1, dims(3), 2, 0, 2),
		gathered(dims(2, 3, 2), 1, dims(), 0), gathered(dims(2, 3, 2), -1, dims(1, 3), 1, 0, 1), gathered(dims(5), 0, dims(), -1), gathered(dims(4), 0, dims(3, 1), 1, 1, 2),
		{name: "opset 13", opset: 13, inputs: of(anything, dims(3, 2)), build: func(b *onnx.Builder, in []string) string {
			return b.Op("Gather", []string{in[0], b.Ints(2, 0, 2)})
		}},
	},
	{"", "GatherElements"}: {
		indexed("GatherElements", dims(3, 2), 0, []int64{2, 2}, 2, 0, 2, 1), indexed("GatherElements", dims(2, 3), 1, []int64{2, 2}, 2, 0, -1, -1),
		indexed("GatherElements", dims(4), -1, []int64{5}, 1, 1, 1, 0, 3),
	},
	{"", "GatherND"}: {
		indexed("GatherND", dims(3, 2), -1, []int64{2, 2}, 2, 0, 2, 0), indexed("GatherND", dims(3, 2), -1, []int64{3, 1}, 1, 1, -1),
		{name: "batched", inputs: of(anything, dims(2, 3, 2)), build: func(b *onnx.Builder, in []string) string {
			at := b.Const(onnx.Int64s([]int64{2, 1}, 1, 2))
			return b.Op("GatherND", []string{in[0], at}, onnx.IntAttr("batch_dims", 1))
		}},
	},
	{"", "ScatterElements"}: {
		scattered("ScatterElements", "none", 0, dims(3, 2), dims(1, 2), []int64{1, 2}, 2, 0), scattered("ScatterElements", "none", 1, dims(2, 3), dims(2, 2), []int64{2, 2}, 2, 0, 1, -1),
		scattered("ScatterElements", "add", 0, dims(3), dims(4), []int64{4}, 1, 1, 0, 1),
	},
	{"", "ScatterND"}: {
		scattered("ScatterND", "none", -1, dims(3, 2), dims(2, 2), []int64{2, 1}, 2, 0), scattered("ScatterND", "add", -1, dims(3, 2), dims(2), []int64{2, 2}, 2, 0, 1, 1),
	},
}

// sliced is a case of Slice; rest are its axes, then its steps.
func sliced(shape []int, starts, ends []int64, rest ...int64) testCase {
	return testCase{
		name: fmt.Sprint(shape, starts, ends, rest), inputs: of(anything, shape),
		build: func(b *onnx.Builder, in []string) string {
			in = append(in, b.Ints(starts...), b.Ints(ends...))
			for list := range slices.Chunk(rest, len(starts)) {
				in = append(in, b.Ints(list...))
			}
			return b.Op("Slice", in)
		}}
}

// gathered is a case of Gather with constant indices.
func gathered(shape []int, axis int64, at []int, ids ...int64) testCase {
	var size []int64
	for _, n := range at {
		size = append(size, int64(n))
	}
	return indexed("Gather", shape, axis, size, ids...)
}

// indexed is a case of an operator with constant indices of the given shape.
func indexed(name string, shape []int, axis int64, at []int64, ids ...int64) testCase {
	return testCase{
		name: fmt.Sprint(shape, " axis ", axis, " at ", at, ids), inputs: of(anything, shape),
		build: func(b *onnx.Builder, in []string) string {
			var attrs []onnx.Attr
			if name != "GatherND" {
				attrs = ints("axis", axis)
			}
			return b.Op(name, []string{in[0], b.Const(onnx.Int64s(at, ids...))}, attrs...)
		}}
}

// scattered is a case of a scatter with constant indices.
func scattered(name, reduction string, axis int64, shape, updates []int, at []int64, ids ...int64) testCase {
	return testCase{
		name: fmt.Sprint(shape, reduction, " axis ", axis, " at ", at, ids), inputs: of(anything, shape, updates),
		build: func(b *onnx.Builder, in []string) string {
			var attrs []onnx.Attr // before opset 16 there was none
			if reduction != "none" {
				attrs = append(attrs, onnx.StringAttr("reduction", reduction))
			}
			if name == "ScatterElements" {
				attrs = append(attrs, onnx.IntAttr("axis", axis))
			}
			return b.Op(name, []string{in[0], b.Const(onnx.Int64s(at, ids...)), in[1]}, attrs...)
		}}
}

// Rows of half precision add up too, where ids repeat: the engine has no kernel that adds in it.
func TestGatherOfHalves(t *testing.T) {
	m, b := graph("x")
	halves := b.Op("Cast", []string{"x"}, onnx.IntAttr("to", int64(onnx.Float16)))
	rows := b.Op("Gather", []string{halves, b.Ints(1, 1, 0)})
	b.Named("y", "Cast", []string{rows}, onnx.IntAttr("to", int64(onnx.Float)))
	b.Output("y", onnx.Float, 3, 3)
	d, _, err := Differentiate(m, Request{Of: "y", Wrt: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	got := open(t, d).run(t, map[string]array{"x": matrix(1, 2, -1, 0.5, 0, 3)}, map[string][]int{"grad::x": dims(2, 3)})
	if diff := cmp.Diff([]float64{1, 1, 1, 2, 2, 2}, got["grad::x"].data); diff != "" {
		t.Error(diff)
	}
}
