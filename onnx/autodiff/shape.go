package autodiff

import (
	"slices"

	"metalora/onnx"
)

// y holds x's elements in the same order: dx is dy in x's shape. So are Flatten, Squeeze and Unsqueeze.
func reshape(b *builder, n *onnx.Node, dy value, _ int) value { return b.reshapeLike(dy, n.Input(0)) }

// y = x with permuted axes: dx = dy permuted back. Without a permutation the axes are reversed.
func transpose(b *builder, n *onnx.Node, dy value, _ int) value {
	perm := n.Ints("perm")
	if perm == nil {
		return b.with("Transpose", []value{dy})
	}
	back := make([]int64, len(perm))
	for i, p := range perm {
		back[p] = int64(i)
	}
	return b.transpose(dy, back)
}

// y = x1, x2, ... side by side: dx is x's part of dy.
func concat(b *builder, n *onnx.Node, dy value, i int) value {
	axis := n.Int("axis", 0)
	start := b.vec(0)
	for _, before := range n.Inputs[:i] {
		start = b.addSizes(start, b.sizeOf(before, axis))
	}
	end := b.addSizes(start, b.sizeOf(n.Input(i), axis))
	return b.op("Slice", dy, start, end, b.vec(axis))
}

// addSizes adds two vectors of one int64, at once where both are known.
func (b *builder) addSizes(x, y value) value {
	p, known := b.size(x)
	q, alsoKnown := b.size(y)
	if known && alsoKnown {
		return b.vec(p + q)
	}
	return b.add(x, y)
}

// y1, y2, ... = parts of x: dx = dy1, dy2, ... side by side, zeros for a part that is not used.
func split(b *builder, n *onnx.Node, _ value, _ int) value {
	parts := make([]value, len(n.Outputs))
	for i, y := range n.Outputs {
		if parts[i] = b.cotangent(y); parts[i] == "" {
			parts[i] = b.zerosLike(y)
		}
	}
	return b.with("Concat", parts, onnx.IntAttr("axis", n.Int("axis", 0)))
}

// y = x repeated r_i times along axis i: dx = the sum of dy over the repetitions, which stand in front of each axis once dy is
// reshaped to [r_0, d_0, r_1, d_1, ...].
func tile(b *builder, n *onnx.Node, dy value, _ int) value {
	var sizes []value
	var axes []int64
	for i := range int64(b.rank(n.Input(0))) {
		sizes = append(sizes, b.op("Gather", n.Input(1), b.vec(i)), b.sizeOf(n.Input(0), i))
		axes = append(axes, 2*i)
	}
	if len(axes) == 0 {
		return dy
	}
	return b.sumDrop(b.op("Reshape", dy, b.concat(sizes...)), axes...)
}

// y = x with a border. Of constants: dx = dy without it, which is padding by less than nothing; the constant's cotangent is
// the sum of the rest. Of elements of x: dx = zeros to which each element of dy is added where it came from.
func pad(b *builder, n *onnx.Node, dy value, i int) value {
	if a := n.Attr("mode"); a != nil && a.S != "constant" {
		in := append([]value{b.places(n.Input(0)), n.Input(1), ""}, n.Inputs[min(3, len(n.Inputs)):]...)
		return b.addToPlaces(n.Input(0), b.with("Pad", in, *a), dy)
	}
	in := []value{dy, b.neg(n.Input(1))}
	if axes := n.Input(3); axes != "" {
		in = append(in, "", axes)
	}
	dx := b.op("Pad", in...)
	if i == 0 {
		return dx
	}
	sum := func(v value) value { return b.with("ReduceSum", []value{v}, onnx.IntAttr("keepdims", 0)) }
	return b.reshapeLike(b.sub(sum(dy), sum(dx)), n.Input(2))
}

// y = the upper or lower triangle of x: dx = the same triangle of dy.
func trilu(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.with("Trilu", append([]value{dy}, n.Inputs[1:]...), onnx.IntAttr("upper", n.Int("upper", 1)))
}

// y = x with blocks of channels spread over the image: dx = dy with its blocks gathered. Where the channels of a block
// are not next to each other in x, they are brought there.
func depthToSpace(b *builder, n *onnx.Node, dy value, _ int) value {
	size := n.Int("blocksize", 1)
	dx := b.with("SpaceToDepth", []value{dy}, onnx.IntAttr("blocksize", size))
	if a := n.Attr("mode"); a == nil || a.S != "CRD" {
		return dx
	}
	image := b.op("Slice", b.op("Shape", dx), b.vec(2), b.vec(4))
	batch := b.sizeOf(n.Input(0), 0)
	apart := b.op("Reshape", dx, b.concat(batch, b.vec(size*size, -1), image))
	return b.reshapeLike(b.transpose(apart, []int64{0, 2, 1, 3, 4}), n.Input(0))
}

// y = x with blocks of the image in channels: dx = dy with them spread again.
func spaceToDepth(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.with("DepthToSpace", []value{dy}, onnx.IntAttr("blocksize", n.Int("blocksize", 1)))
}

// y = x with the first elements of each sequence reversed: dx = dy reversed again.
func reverseSequence(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.with("ReverseSequence", []value{dy, n.Input(1)}, n.Attrs...)
}

// y = x cropped and padded about its centre: dx = dy cropped and padded to x's shape.
func centerCropPad(b *builder, n *onnx.Node, dy value, _ int) value {
	shape := b.op("Shape", n.Input(0))
	if axes := n.Ints("axes"); axes != nil {
		shape = b.op("Gather", shape, b.vec(axes...))
	}
	return b.with("CenterCropPad", []value{dy, shape}, n.Attrs...)
}

// y = blocks of x added up where they lie in an image; x is [rows, channels*size of a block, blocks]: dx = the blocks of dy,
// which a convolution with an identity matrix reads, each channel for itself.
func col2Im(b *builder, n *onnx.Node, dy value, _ int) value {
	image, block := n.Input(1), n.Input(2)
	size := b.with("ReduceProd", []value{block}, onnx.IntAttr("keepdims", 1))
	channels := b.op("Reshape", dy, b.concat(b.vec(-1, 1), image))
	identity := b.op("EyeLike", b.filled(0, b.concat(size, size)))
	blocks := b.with("Conv", []value{channels, b.op("Reshape", identity, b.concat(b.vec(-1, 1), block))}, n.Attrs...)
	return b.reshapeLike(blocks, n.Input(0))
}

// foldsWrongly finds a Col2Im over more than two axes with dilations, which ONNX Runtime 1.30 computes wrongly.
func foldsWrongly(_ *builder, n *onnx.Node) string {
	if d := n.Ints("dilations"); len(d) > 2 && slices.Max(d) > 1 {
		return "the engine computes it wrongly with dilations over more than two axes"
	}
	return ""
}
