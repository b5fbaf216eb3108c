package autodiff

import (
	"fmt"
	"math/rand/v2"

	"metalora/onnx"
)

var reduceDraws = map[op]generator{
	{"", "ReduceSum"}:       always(drawReduction("ReduceSum", anything)),
	{"", "ReduceMean"}:      always(drawReduction("ReduceMean", anything)),
	{"", "ReduceMax"}:       always(drawReduction("ReduceMax", distinct)),
	{"", "ReduceMin"}:       always(drawReduction("ReduceMin", distinct)),
	{"", "ReduceL1"}:        always(drawReduction("ReduceL1", offZero)),
	{"", "ReduceL2"}:        always(drawReduction("ReduceL2", offZero)),
	{"", "ReduceSumSquare"}: always(drawReduction("ReduceSumSquare", anything)),
	{"", "ReduceLogSumExp"}: always(drawReduction("ReduceLogSumExp", anything)),
	{"", "ReduceLogSum"}:    always(drawReduction("ReduceLogSum", positive)),
	{"", "ReduceProd"}:      always(drawOneOf(drawReduction("ReduceProd", offZero), drawReduction("ReduceProd", someZeros))),
	{"", "CumSum"}:          always(drawCumulative("CumSum", anything)),
	{"", "CumProd"}:         since(26, drawOneOf(drawCumulative("CumProd", offZero), drawCumulative("CumProd", someZeros))),
}

// someZeros gives whole numbers from 0 to 2.
func someZeros(r *rand.Rand, _ int) float64 { return float64(r.IntN(3)) }

// axesInput is the first operator set in which a reduction has its axes as an input.
func axesInput(name string) int64 {
	if name == "ReduceSum" {
		return 13
	}
	return 18
}

// drawReduction draws axes of all kinds: none, which means all or, if so told, no axis; some, from either end; in the form
// that the operator set wants.
func drawReduction(name string, v values) draw {
	return func(r *rand.Rand, opset int64) testCase {
		shape := anyShape(r, 0, 4)
		axes := signed(r, pick(r, len(shape), r.IntN(len(shape)+1)), len(shape))
		attrs := ints("keepdims", r.Int64N(2))
		if len(axes) == 0 && opset >= axesInput(name) {
			attrs = append(attrs, onnx.IntAttr("noop_with_empty_axes", r.Int64N(2)))
		}
		c := node(name, attrs, input{shape, v})
		c.name = fmt.Sprintf("%s over %v", c.name, axes)
		c.build = func(b *onnx.Builder, in []string) string {
			switch {
			case len(axes) == 0:
			case opset < axesInput(name):
				attrs = append(attrs[:1:1], onnx.IntsAttr("axes", axes...))
			default:
				in = []string{in[0], b.Ints(axes...)}
			}
			return b.Op(name, in, attrs...)
		}
		return c
	}
}

// drawCumulative draws an operator that goes along an axis given as an input.
func drawCumulative(name string, v values) draw {
	return func(r *rand.Rand, _ int64) testCase {
		shape := anyShape(r, 1, 3)
		axis := anyAxis(r, len(shape))
		attrs := append(ints("exclusive", r.Int64N(2)), onnx.IntAttr("reverse", r.Int64N(2)))
		c := node(name, attrs, input{shape, v})
		c.name = fmt.Sprintf("%s along %d", c.name, axis)
		c.build = func(b *onnx.Builder, in []string) string { return b.Op(name, []string{in[0], b.Int(axis)}, attrs...) }
		return c
	}
}
