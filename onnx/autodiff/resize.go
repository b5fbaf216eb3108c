package autodiff

import (
	"slices"

	"metalora/onnx"
)

// A resized image is a linear image of x along each axis, whatever the mode: y = R_1 * ... * R_n * x. The matrix of an axis is
// what the operator makes of an identity, so dx is dy multiplied by their transposes.
func resize(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	rank := b.rank(x)
	for i, a := range b.resizedAxes(n) {
		if b.keepsSize(n, i, a) {
			continue
		}
		dy = b.along(dy, rank, int(a), b.resizeMatrix(n, i, a))
	}
	return dy
}

// resizedAxes are the axes that the node's scales or sizes are for.
func (b *builder) resizedAxes(n *onnx.Node) []int64 {
	axes := slices.Clone(n.Ints("axes"))
	if axes == nil {
		return axesUpTo(b.rank(n.Input(0)))
	}
	for i := range axes {
		if axes[i] < 0 {
			axes[i] += int64(b.rank(n.Input(0)))
		}
	}
	return axes
}

// keepsSize reports whether the i-th resized axis, axis a, is known to stay as it is.
func (b *builder) keepsSize(n *onnx.Node, i int, a int64) bool {
	if crops(n) {
		return false
	}
	if scales, ok := b.facts.Floats(n.Input(2)); ok && n.Input(3) == "" && i < len(scales) {
		return scales[i] == 1
	}
	in, out := b.info[n.Input(0)].Shape, b.info[n.Output(0)].Shape
	return len(out) == len(in) && sameDim(in[a], out[a])
}

// sameDim reports whether two dimensions are known to be equal.
func sameDim(x, y onnx.Dim) bool {
	return x.Size >= 0 && x.Size == y.Size || x.Size < 0 && x.Name != "" && x.Name == y.Name
}

// crops reports whether a Resize takes a part of x.
func crops(n *onnx.Node) bool {
	a := n.Attr("coordinate_transformation_mode")
	return a != nil && a.S == "tf_crop_and_resize"
}

// resizeMatrix [in, out] is an identity resized along its last axis, as the i-th resized axis is, axis a.
func (b *builder) resizeMatrix(n *onnx.Node, i int, a int64) value {
	var attrs []onnx.Attr
	for _, attr := range n.Attrs {
		if attr.Name != "axes" && attr.Name != "extrapolation_value" {
			attrs = append(attrs, attr)
		}
	}
	size := b.sizeOf(n.Input(0), a)
	eye := b.identity(b.concat(b.vec(1), size, size))
	eye = b.op("Unsqueeze", eye, b.vec(0)) // the runtime's kernels ask for four dimensions
	in := []value{eye, "", "", ""}
	if crops(n) {
		in[1] = b.lastAxis(n.Input(1), i, len(b.resizedAxes(n)), b.single(0), b.single(1))
	}
	if keepsAspect(n) {
		return b.aspectMatrix(n, i, size, attrs)
	}
	if scales := n.Input(2); n.Input(3) == "" {
		at := b.op("Gather", scales, b.vec(int64(i)))
		in = []value{eye, in[1], b.concat(b.single(1), b.single(1), b.single(1), at)}
	} else {
		in[3] = b.concat(b.vec(1, 1), size, b.op("Gather", n.Input(3), b.vec(int64(i))))
	}
	return b.op("Squeeze", b.with("Resize", in, attrs...), b.vec(0, 1))
}

// keepsAspect reports whether all axes of a Resize have one factor: the smallest or the largest that its sizes ask for.
func keepsAspect(n *onnx.Node) bool {
	p := n.Attr("keep_aspect_ratio_policy")
	return p != nil && p.S != "stretch" && n.Input(3) != ""
}

// aspectMatrix is [resizeMatrix] of a Resize that keeps the aspect ratio. The rows of the identity, size of them, are images whose columns
// are alike, as high as the axis that decides the factor: resized together with it the width has the same factor, which no sizes
// of the width alone could say.
func (b *builder) aspectMatrix(n *onnx.Node, i int, size value, attrs []onnx.Attr) value {
	in := b.op("Gather", b.shapeOf(n.Input(0)), b.vec(b.resizedAxes(n)...))
	factors := b.op("Div", b.cast(n.Input(3), onnx.Float), b.cast(in, onnx.Float))
	pick := "ArgMin"
	if n.Attr("keep_aspect_ratio_policy").S == "not_smaller" {
		pick = "ArgMax"
	}
	decides := b.with(pick, []value{factors}, onnx.IntAttr("axis", 0)) // [1]
	rows := b.op("Unsqueeze", b.op("Squeeze", b.identity(b.concat(b.vec(1), size, size)), b.vec(0)), b.vec(1, 2))
	images := b.op("Expand", rows, b.concat(size, b.vec(1), b.op("Gather", in, decides), size))
	sizes := b.concat(b.op("Gather", n.Input(3), decides), b.op("Gather", n.Input(3), b.vec(int64(i))))
	resized := b.with("Resize", []value{images, "", "", sizes}, append(attrs, onnx.IntsAttr("axes", 2, 3))...)
	return b.op("Squeeze", b.with("Gather", []value{resized, b.vec(0)}, onnx.IntAttr("axis", 2)), b.vec(1, 2))
}

// single is a vector of one float.
func (b *builder) single(x float32) value { return b.out.Const(onnx.Floats([]int64{1}, x)) }

// lastAxis is the region [starts, ends] of four axes of which the last is the i-th of count of another region, and the
// others are whole.
func (b *builder) lastAxis(region value, i, count int, start, end value) value {
	from, to := b.op("Gather", region, b.vec(int64(i))), b.op("Gather", region, b.vec(int64(i+count)))
	return b.concat(start, start, start, from, end, end, end, to)
}

// resizesOtherwise finds a Resize that is not linear along each axis by itself, or of which too little is known.
func resizesOtherwise(b *builder, n *onnx.Node) string {
	if keepsAspect(n) && crops(n) {
		return "there is no rule for a crop that keeps the aspect ratio"
	}
	return rankUnknown(0)(b, n)
}
