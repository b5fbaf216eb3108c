package autodiff

import (
	"fmt"

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
