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
	if scales := n.Input(2); n.Input(3) == "" {
		at := b.op("Gather", scales, b.vec(int64(i)))
		in = []value{eye, in[1], b.concat(b.single(1), b.single(1), b.single(1), at)}
	} else {
		in[3] = b.concat(b.vec(1, 1), size, b.op("Gather", n.Input(3), b.vec(int64(i))))
	}
	return b.op("Squeeze", b.with("Resize", in, attrs...), b.vec(0, 1))
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
	if p := n.Attr("keep_aspect_ratio_policy"); p != nil && p.S != "stretch" {
		return "there is no rule for keep_aspect_ratio_policy " + p.S
	}
	return rankUnknown(0)(b, n)
}
