package autodiff

import (
	"math/rand/v2"

	"metalora/onnx"
)

var microsoftDraws = map[op]generator{
	{microsoft, "Gelu"}:        always(drawBiased("Gelu", false)),
	{microsoft, "BiasGelu"}:    always(drawBiased("BiasGelu", true)),
	{microsoft, "FastGelu"}:    always(drawOneOf(drawBiased("FastGelu", true), drawBiased("FastGelu", false))),
	{microsoft, "QuickGelu"}:   always(drawBiased("QuickGelu", false, floats("alpha", 0.8)...)),
	{microsoft, "FusedMatMul"}: always(drawFusedMatMul),
}

// drawBiased draws an activation of x, or of x and a bias along its last axis.
func drawBiased(name string, bias bool, attrs ...onnx.Attr) draw {
	return func(r *rand.Rand, _ int64) testCase {
		x := anyShape(r, 1, 3)
		in := of(anything, x)
		if bias {
			in = append(in, input{x[len(x)-1:], anything})
		}
		c := nodeOf(microsoft, name, attrs, in...)
		c.single = true
		return c
	}
}

// drawFusedMatMul draws factors as they are and transposed, in batches that broadcast.
func drawFusedMatMul(r *rand.Rand, _ int64) testCase { return oneOf(r, fused()) }
