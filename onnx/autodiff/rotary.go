package autodiff

import (
	"math"

	"metalora/onnx"
)

// rotary turns pairs of elements of each head by an angle that grows with the token's position: of x1, x2 it makes
// x1*cos - x2*sin and x1*sin + x2*cos (Su et al., RoFormer, arXiv 2104.09864).
func rotary(b *builder, n *onnx.Node) []value {
	cos, sin := n.Input(1), n.Input(2)
	if at := n.Input(3); at != "" {
		cos, sin = b.op("Gather", cos, at), b.op("Gather", sin, at)
	}
	return b.rotated(n, cos, sin)
}

// fusedRotary is rotary with its inputs in another order, where the positions may be that of the first token alone.
func fusedRotary(b *builder, n *onnx.Node) []value {
	at := n.Input(1)
	if b.rank(at) == 1 {
		length := int64(1)
		if b.rank(n.Input(0)) == 4 {
			length = 2
		}
		at = b.op("Unsqueeze", b.add(b.count(b.sizeOf(n.Input(0), length)), at), b.vec(0))
	}
	return b.rotated(n, b.op("Gather", n.Input(2), at), b.op("Gather", n.Input(3), at))
}

// rotated is the output of a rotation by cos and sin [rows, length, pairs].
func (b *builder) rotated(n *onnx.Node, cos, sin value) []value {
	x := n.Input(0)
	split := b.rank(x) == 3
	if heads := n.Int("num_heads", 0); split && heads > 0 {
		x = b.heads(x, heads)
	} else if split { // a head is as large as what is turned
		x = b.op("Reshape", x, b.concat(b.vec(0, 0, -1), b.mul(b.sizeOf(cos, -1), b.vec(2))))
		x = b.transpose(x, []int64{0, 2, 1, 3})
	}
	cos, sin = b.op("Unsqueeze", cos, b.vec(1)), b.op("Unsqueeze", sin, b.vec(1))
	pairs, interleaved := b.sizeOf(cos, -1), n.Int("interleaved", 0) != 0
	y := value("")
	if part := n.Int("rotary_embedding_dim", 0); part > 0 {
		turned, kept := b.op("Slice", x, b.vec(0), b.vec(part), b.vec(3)), b.op("Slice", x, b.vec(part), b.vec(math.MaxInt64), b.vec(3))
		y = b.with("Concat", []value{b.pairwise(turned, cos, sin, pairs, interleaved), kept}, onnx.IntAttr("axis", 3))
	} else {
		y = b.pairwise(x, cos, sin, pairs, interleaved)
	}
	if split {
		y = b.op("Reshape", b.transpose(y, []int64{0, 2, 1, 3}), b.op("Shape", n.Input(0)))
	}
	return []value{y}
}

// pairwise turns x [.., 2*pairs], whose pairs stand beside each other (interleaved) or half a row apart.
func (b *builder) pairwise(x, cos, sin, pairs value, interleaved bool) value {
	axis, shape := int64(-2), b.concat(b.vec(0, 0, 0, 2), pairs)
	if interleaved {
		axis, shape = -1, b.concat(b.vec(0, 0, 0), pairs, b.vec(2))
	}
	both := b.op("Reshape", x, shape)
	first := b.with("Gather", []value{both, b.out.Int(0)}, onnx.IntAttr("axis", axis))
	second := b.with("Gather", []value{both, b.out.Int(1)}, onnx.IntAttr("axis", axis))
	y1, y2 := b.sub(b.mul(first, cos), b.mul(second, sin)), b.add(b.mul(first, sin), b.mul(second, cos))
	y := b.with("Concat", []value{b.op("Unsqueeze", y1, b.vec(axis)), b.op("Unsqueeze", y2, b.vec(axis))}, onnx.IntAttr("axis", axis))
	return b.op("Reshape", y, b.concat(b.vec(0, 0, 0), b.mul(pairs, b.vec(2))))
}
