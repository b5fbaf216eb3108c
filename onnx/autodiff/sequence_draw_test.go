package autodiff

import (
	"fmt"
	"math/rand/v2"

	"metalora/onnx"
)

var sequenceDraws = map[op]generator{
	{"", "SequenceAt"}:         always(drawOneOf(drawElement, drawPiece)),
	{"", "ConcatFromSequence"}: always(drawJoined),
}

// drawElement draws one of the tensors that were put into a sequence.
func drawElement(r *rand.Rand, _ int64) testCase {
	var in []input
	for range 1 + r.IntN(3) {
		in = append(in, input{anyShape(r, 2, 2), anything})
	}
	at := anyAxis(r, len(in))
	c := node("SequenceConstruct", nil, in...)
	c.name = fmt.Sprint(c.name, " at ", at)
	c.build = func(b *onnx.Builder, in []string) string {
		return b.Op("SequenceAt", []string{b.Op("SequenceConstruct", in), b.Int(at)})
	}
	return c
}

// drawPiece draws one of the pieces that a tensor was split into: of length one, of another, of several.
func drawPiece(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 2, 3) // a piece without dimensions has no shape that is known, and the binding cannot fetch it
	axis := anyAxis(r, len(shape))
	lengths := []int64{1 + r.Int64N(3), 1 + r.Int64N(3)}
	shape[within(axis, len(shape))] = int(lengths[0] + lengths[1])
	kind, at := r.IntN(3), r.Int64N(2)
	attrs := ints("axis", axis)
	if kind == 0 {
		attrs = append(attrs, onnx.IntAttr("keepdims", r.Int64N(2))) // pieces of given lengths keep the dimension
	}
	c := node("SplitToSequence", attrs, of(anything, shape)...)
	c.name = fmt.Sprint(c.name, lengths, " kind ", kind, " at ", at)
	c.build = func(b *onnx.Builder, in []string) string {
		position := b.Int(at)
		switch kind {
		case 0:
			position = b.Int(-at)
		case 1:
			in = append(in, b.Int((lengths[0]+lengths[1]+1)/2))
		default:
			in, position = append(in, b.Ints(lengths...)), b.Int(at-2)
		}
		return b.Op("SequenceAt", []string{b.Op("SplitToSequence", in, attrs...), position})
	}
	return c
}

// drawJoined draws tensors joined along an axis that they have, or along a new one.
func drawJoined(r *rand.Rand, _ int64) testCase {
	shape, count, fresh := anyShape(r, 1, 3), 1+r.IntN(3), r.IntN(2)
	attrs := append(ints("axis", anyAxis(r, len(shape)+fresh)), onnx.IntAttr("new_axis", int64(fresh)))
	var in []input
	for range count {
		in = append(in, input{shape, anything})
	}
	c := node("ConcatFromSequence", attrs, in...)
	c.build = func(b *onnx.Builder, in []string) string {
		return b.Op("ConcatFromSequence", []string{b.Op("SequenceConstruct", in)}, attrs...)
	}
	return c
}
