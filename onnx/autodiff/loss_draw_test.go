package autodiff

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"metalora/onnx"
)

var lossDraws = map[op]generator{
	{"", "NegativeLogLikelihoodLoss"}: since(12, drawLoss("NegativeLogLikelihoodLoss")),
	{"", "SoftmaxCrossEntropyLoss"}:   since(12, drawLoss("SoftmaxCrossEntropyLoss")),
}

// drawLoss draws samples in rows and beyond, labels of which some are ignored, with and without weights of the classes, and
// what becomes of the samples' losses. The log-probabilities of the cross-entropy are used or not.
func drawLoss(name string) draw {
	return func(r *rand.Rand, _ int64) testCase {
		scores := append(dims(anySize(r), 2+r.IntN(3)), anyShape(r, 0, 2)...)
		at := slices.Concat(scores[:1], scores[2:])
		labels := make([]int64, elements(at))
		for i := range labels {
			labels[i] = r.Int64N(int64(scores[1]))
		}
		attrs := []onnx.Attr{}
		if reduction := oneOf(r, []string{"", "mean", "sum", "none"}); reduction != "" {
			attrs = append(attrs, onnx.StringAttr("reduction", reduction))
		}
		if r.IntN(2) == 0 {
			ignored := oneOf(r, []int64{-100, -1, (labels[0] + 1) % int64(scores[1])}) // never all samples
			attrs = append(attrs, onnx.IntAttr("ignore_index", ignored))
			if len(labels) > 1 {
				labels[len(labels)-1] = ignored
			}
		}
		in := of(anything, scores)
		if r.IntN(2) == 0 {
			in = append(in, input{scores[1:2], positive})
		}
		c := node(name, attrs, in...)
		logits := name == "SoftmaxCrossEntropyLoss" && r.IntN(2) == 0
		c.name = fmt.Sprint(c.name, labels, logits)
		c.build = func(b *onnx.Builder, in []string) string {
			in = slices.Insert(slices.Clone(in), 1, b.Const(onnx.Int64s(wide(at), labels...)))
			if !logits {
				return b.Op(name, in, attrs...)
			}
			y := b.Node("", name, in, 2, attrs...)
			all := b.Op("ReduceMean", y[:1], onnx.IntAttr("keepdims", 0))
			return b.Op("Mul", []string{all, b.Op("Exp", y[1:])})
		}
		return c
	}
}
