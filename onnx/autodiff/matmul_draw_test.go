package autodiff

import (
	"math/rand/v2"

	"metalora/onnx"
)

var matMulDraws = map[op]generator{
	{"", "MatMul"}: always(drawProduct),
	{"", "Gemm"}:   always(drawGemm),
}

// drawProduct draws factors of one dimension, of two, or of more that broadcast.
func drawProduct(r *rand.Rand, _ int64) testCase {
	batch := broadcastTogether(r, 2)
	k := anySize(r)
	left, right := append(batch[0], anySize(r), k), append(batch[1], k, anySize(r))
	switch r.IntN(6) {
	case 0:
		left = dims(k)
	case 1:
		right = dims(k)
	case 2:
		left, right = dims(k), dims(k)
	}
	return node("MatMul", nil, of(anything, left, right)...)
}

// drawGemm draws operands as they are and transposed, with addends of all shapes and none.
func drawGemm(r *rand.Rand, _ int64) testCase {
	m, k, n := anySize(r), anySize(r), anySize(r)
	transA, transB := r.Int64N(2), r.Int64N(2)
	attrs := []onnx.Attr{onnx.IntAttr("transA", transA), onnx.IntAttr("transB", transB)}
	left, right := dims(m, k), dims(k, n)
	if transA == 1 {
		left = dims(k, m)
	}
	if transB == 1 {
		right = dims(n, k)
	}
	in := of(anything, left, right)
	if addends := [][]int{dims(n), dims(1, n), dims(m, 1), dims(m, n), dims(), dims(1)}; r.IntN(4) > 0 {
		in = append(in, input{oneOf(r, addends), anything})
	}
	if r.IntN(2) == 0 {
		attrs = append(attrs, onnx.FloatAttr("alpha", 0.7), onnx.FloatAttr("beta", -1.3))
	}
	return node("Gemm", attrs, in...)
}
