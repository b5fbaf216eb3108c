package autodiff

import (
	"encoding/binary"
	"math"

	"metalora/onnx"
)

// vec is a constant vector of integers.
func (b *builder) vec(xs ...int64) value {
	v := b.out.Ints(xs...)
	b.vectors[v] = xs
	return v
}

// ints are the elements of an integer tensor that is the same in every run.
func (b *builder) ints(v value) ([]int64, bool) {
	if xs, ok := b.vectors[v]; ok {
		return xs, true
	}
	return b.facts.Ints(v)
}

// size is the element of a constant vector of one integer.
func (b *builder) size(v value) (int64, bool) {
	xs, ok := b.ints(v)
	if !ok || len(xs) != 1 {
		return 0, false
	}
	return xs[0], true
}

// number is a constant of one element.
func (b *builder) number(v value) (float64, bool) {
	if i, ok := b.size(v); ok {
		return float64(i), true
	}
	t := b.constants[v]
	if n := b.producers[v]; n != nil && n.Op == "Constant" {
		t = constantNode(n)
	}
	switch {
	case t == nil || len(t.Raw) != t.Type.Size():
		return 0, false
	case t.Type == onnx.Float:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Raw))), true
	case t.Type == onnx.Double:
		return math.Float64frombits(binary.LittleEndian.Uint64(t.Raw)), true
	}
	return 0, false
}

// constantNode is the value of a Constant node where it may be a single number, which is written in one of two ways.
func constantNode(n *onnx.Node) *onnx.Tensor {
	if a := n.Attr("value_float"); a != nil {
		return onnx.Floats(nil, a.F)
	}
	if a := n.Attr("value"); a != nil {
		return a.T
	}
	return nil
}

// rank is the number of v's dimensions, -1 where it is not known.
func (b *builder) rank(v value) int {
	if shape := b.info[v].Shape; shape != nil {
		return len(shape)
	}
	return -1
}

// axis is the axis attribute of a node, counted from 0, for a v whose rank is known.
func (b *builder) axis(n *onnx.Node, v value, def int64) int64 {
	axis := n.Int("axis", def)
	if axis < 0 {
		axis += int64(b.rank(v))
	}
	return axis
}
