package autodiff

import (
	"math"

	"metalora/onnx"
)

// Exporters put tensors into a sequence and take them out again. No gradient passes a sequence, so what leaves one is
// written as what was made of the tensors that went in.

// concatFromSequence writes tensors that were put into a sequence and joined as their Concat, along a new axis if so.
func concatFromSequence(b *builder, n *onnx.Node) []value {
	parts := b.producers[n.Input(0)].Inputs
	axis := n.Int("axis", 0)
	if n.Int("new_axis", 0) != 0 {
		apart := make([]value, len(parts))
		for i, x := range parts {
			apart[i] = b.op("Unsqueeze", x, b.vec(axis))
		}
		parts = apart
	}
	return []value{b.with("Concat", parts, onnx.IntAttr("axis", axis))}
}

// sequenceAt writes an element of a sequence as the tensor that was put in, or as a Slice of the one that was split.
func sequenceAt(b *builder, n *onnx.Node) []value {
	made := b.producers[n.Input(0)]
	at, _ := b.size(n.Input(1)) // the obstacle has seen it
	if made.Op == "SequenceConstruct" {
		return []value{b.op("Identity", made.Inputs[fromStart(at, len(made.Inputs))])}
	}
	x, axis := made.Input(0), made.Int("axis", 0)
	start, end, _ := b.piece(made, at)
	y := b.op("Slice", x, b.vec(start), b.vec(end), b.vec(axis))
	if made.Input(1) == "" && made.Int("keepdims", 1) == 0 {
		y = b.op("Squeeze", y, b.vec(axis))
	}
	return []value{y}
}

// piece is where a piece of a SplitToSequence lies. Pieces are of the given lengths, or all of one length but the last.
func (b *builder) piece(split *onnx.Node, at int64) (start, end int64, known bool) {
	lengths, known := []int64{1}, true
	if given := split.Input(1); given != "" {
		lengths, known = b.ints(given)
	}
	switch {
	case !known || len(lengths) == 0:
		return 0, 0, false
	case len(lengths) > 1 || b.rank(split.Input(1)) == 1:
		i := fromStart(at, len(lengths))
		if i < 0 || i >= len(lengths) {
			return 0, 0, false
		}
		for _, n := range lengths[:i] {
			start += n
		}
		return start, start + lengths[i], true
	case at == -1 && lengths[0] == 1:
		return -1, math.MaxInt64, true
	case at < 0 && lengths[0] > 1:
		return 0, 0, false // the last piece may be shorter
	}
	return at * lengths[0], (at + 1) * lengths[0], true
}

// fromStart counts an index from the first of n.
func fromStart(at int64, n int) int {
	if at < 0 {
		at += int64(n)
	}
	return int(at)
}

// sequenceUnknown finds a sequence of which it is not known what went in, or which element is taken out.
func sequenceUnknown(b *builder, n *onnx.Node) string {
	const unknown = "it is not known what its sequence holds"
	made := b.producers[n.Input(0)]
	if made == nil || made.Domain != "" {
		return unknown
	}
	at, known := b.size(n.Input(1))
	switch {
	case n.Op == "ConcatFromSequence" && made.Op == "SequenceConstruct":
		return ""
	case n.Op == "ConcatFromSequence" || !known:
		return unknown
	case made.Op == "SequenceConstruct":
		if i := fromStart(at, len(made.Inputs)); i >= 0 && i < len(made.Inputs) {
			return ""
		}
	case made.Op == "SplitToSequence":
		if _, _, known := b.piece(made, at); known {
			return ""
		}
	}
	return unknown
}
