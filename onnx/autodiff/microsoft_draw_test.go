package autodiff

import (
	"math/rand/v2"
	"slices"

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

// drawFusedMatMul draws factors as they are and transposed, in batches that broadcast or with the first axis moved behind them,
// or one that is a vector.
func drawFusedMatMul(r *rand.Rand, _ int64) testCase {
	batch, inner := broadcastTogether(r, 2), anySize(r)
	factors := [][]int{append(batch[0], anySize(r), inner), append(batch[1], inner, anySize(r))}
	attrs := floats("alpha", 0.6)
	moved := r.IntN(3) == 0 // the runtime's kernel does so only with factors of equal ranks
	switch {
	case moved:
		axes := slices.Repeat(dims(1), len(batch[0]))
		factors[1] = slices.Concat(axes, factors[1][len(batch[1]):])
	case r.IntN(4) == 0:
		factors[1] = dims(inner)
		return fusedProduct(attrs, factors)
	}
	for i, side := range []string{"A", "B"} {
		last := len(factors[i]) - 1
		if r.IntN(2) == 0 {
			attrs = append(attrs, onnx.IntAttr("trans"+side, 1))
			factors[i][last], factors[i][last-1] = factors[i][last-1], factors[i][last]
		}
		if moved && last > 1 {
			attrs = append(attrs, onnx.IntAttr("transBatch"+side, 1))
			factors[i] = slices.Concat(factors[i][last-1:last], factors[i][:last-1], factors[i][last:])
		}
	}
	return fusedProduct(attrs, factors)
}

func fusedProduct(attrs []onnx.Attr, factors [][]int) testCase {
	c := nodeOf(microsoft, "FusedMatMul", attrs, of(anything, factors...)...)
	c.single = true
	return c
}
