package autodiff

import "metalora/onnx"

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

// y = x with a border of constants: dx = dy without it, which is padding by less than nothing; the constant's cotangent is
// the sum of the rest.
func pad(b *builder, n *onnx.Node, dy value, i int) value {
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

// padsOtherwise finds a Pad that repeats elements of x, or cuts some off as well.
func padsOtherwise(_ *builder, n *onnx.Node) string {
	if a := n.Attr("mode"); a != nil && a.S != "constant" {
		return "there is no rule for mode " + a.S
	}
	return ""
}

// y = the upper or lower triangle of x: dx = the same triangle of dy.
func trilu(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.with("Trilu", append([]value{dy}, n.Inputs[1:]...), onnx.IntAttr("upper", n.Int("upper", 1)))
}
