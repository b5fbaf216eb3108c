package autodiff

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"metalora/onnx"
)

var matMulCases = map[op][]testCase{
	{"", "MatMul"}: products(
		dims(2, 3), dims(3, 5), dims(2, 3), dims(3, 1), dims(1, 1), dims(1, 3), // matrices
		dims(3), dims(3), dims(3), dims(3, 2), dims(2, 3), dims(3), // vectors
		dims(3), dims(2, 3, 2), dims(2, 2, 3), dims(3), dims(3), dims(2, 1, 3, 2),
		dims(2, 2, 3), dims(3, 5), dims(2, 1, 2, 3), dims(3, 2), // one matrix for all
		dims(2, 3), dims(2, 3, 2), dims(2, 2, 3), dims(2, 3, 1), // batches
		dims(2, 1, 1, 3), dims(3, 3, 2), dims(1, 2, 3), dims(2, 3, 2), dims(2, 2, 2, 3), dims(2, 2, 3, 2),
	),
	{"", "Gemm"}: gemms(),
}

// products are cases of MatMul for pairs of shapes.
func products(shapes ...[]int) []testCase {
	var cs []testCase
	for i := 0; i < len(shapes); i += 2 {
		cs = append(cs, node("MatMul", nil, of(anything, shapes[i], shapes[i+1])...))
	}
	return cs
}

// gemms are cases of Gemm [2, 3] x [3, 5] with both operands as they are and transposed, and addends of all shapes.
func gemms() []testCase {
	var cs []testCase
	for _, addend := range [][]int{nil, dims(5), dims(1, 5), dims(2, 1), dims(2, 5), dims(), dims(1)} {
		for trans := range int64(4) {
			left, right := dims(2, 3), dims(3, 5)
			if trans&1 != 0 {
				left = dims(3, 2)
			}
			if trans&2 != 0 {
				right = dims(5, 3)
			}
			in := of(anything, left, right)
			attrs := []onnx.Attr{onnx.IntAttr("transA", trans&1), onnx.IntAttr("transB", trans>>1)}
			if addend != nil {
				in = append(in, of(anything, addend)...)
				attrs = append(attrs, onnx.FloatAttr("alpha", 0.7), onnx.FloatAttr("beta", -1.3))
			}
			cs = append(cs, node("Gemm", attrs, in...))
		}
	}
	return cs
}

// fused are cases of FusedMatMul with its operands as they are and transposed.
func fused() []testCase {
	var cs []testCase
	for trans := range int64(4) {
		for _, batch := range [][2][]int{{{}, {}}, {{2}, {2}}, {{2}, {}}, {{}, {2}}, {{2, 1}, {3}}} {
			left, right := append(dims(batch[0]...), 2, 3), append(dims(batch[1]...), 3, 1)
			if trans&1 != 0 {
				left = append(dims(batch[0]...), 3, 2)
			}
			if trans&2 != 0 {
				right = append(dims(batch[1]...), 1, 3)
			}
			attrs := []onnx.Attr{onnx.IntAttr("transA", trans&1), onnx.IntAttr("transB", trans>>1), onnx.FloatAttr("alpha", 0.6)}
			c := nodeOf(microsoft, "FusedMatMul", attrs, of(anything, left, right)...)
			c.name = fmt.Sprintf("%d %s", trans, c.name)
			c.single = true
			cs = append(cs, c)
		}
	}
	return cs
}

// A linear layer needs no knowledge of how many dimensions its input has.
func TestMatMulOfUnknownRank(t *testing.T) {
	m := onnx.NewModel(&onnx.Graph{Name: "test"})
	m.Graph.Inputs = []onnx.ValueInfo{{Name: "x", Type: onnx.Float}, {Name: "w", Type: onnx.Float, Shape: onnx.Dims(3, 2)}, {Name: "seed", Type: onnx.Float}}
	y := onnx.NewBuilder(m.Graph).Op("MatMul", []string{"x", "w"})
	m.Graph.Outputs = []onnx.ValueInfo{{Name: y, Type: onnx.Float}}
	d, _, err := Differentiate(m, Request{Of: y, Wrt: []string{"x", "w"}, Seed: "seed"})
	if err != nil {
		t.Fatal(err)
	}
	before, after := open(t, m), open(t, d)
	for _, shape := range [][]int{{3}, {4, 3}, {2, 1, 3}, {2, 0, 3}} {
		r := rand.New(rand.NewPCG(5, uint64(len(shape))))
		feeds := map[string]array{}
		for name, s := range map[string][]int{"x": shape, "w": {3, 2}, "seed": append(slices.Clone(shape[:len(shape)-1]), 2)} {
			a := array{s, make([]float64, elements(s)), onnx.Float}
			for i := range a.data {
				a.data[i] = float64(float32(r.NormFloat64()))
			}
			feeds[name] = a
		}
		got := after.run(t, feeds, map[string][]int{gradPrefix + "x": shape, gradPrefix + "w": {3, 2}})
		for _, in := range []string{"x", "w"} {
			compare(t, fmt.Sprintf("%v: gradient by %s", shape, in), got[gradPrefix+in], differences(t, before, feeds, in, y), feeds[in].shape, onnx.Float)
		}
	}
}
