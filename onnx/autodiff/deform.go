package autodiff

import (
	"slices"

	"metalora/onnx"
)

// deformConv is a convolution of an image whose window's elements are each read at a place of their own, which offset
// [rows, groups*window*2, height, width] moves, and weighed by a mask (Zhu et al. 2018).
func deformConv(b *builder, n *onnx.Node) []value {
	weights, offset := n.Input(1), n.Input(2)
	kernel := b.kernel(n)
	taps := kernel[0] * kernel[1]
	height, width := b.sizeOf(offset, 2), b.sizeOf(offset, 3)
	read := b.deformed(n, kernel, height, width)
	group := n.Int("group", 1)
	columns := b.op("Reshape", read, b.concat(b.sizeOf(offset, 0), b.vec(group, -1), b.mul(height, width)))
	inner := b.mul(b.sizeOf(weights, 1), b.vec(taps))
	y := b.matmul(b.op("Reshape", weights, b.concat(b.vec(group, -1), inner)), columns)
	y = b.op("Reshape", y, b.concat(b.sizeOf(offset, 0), b.vec(-1), height, width))
	if bias := n.Input(3); bias != "" {
		y = b.add(y, b.op("Reshape", bias, b.vec(-1, 1, 1)))
	}
	return []value{y}
}

// deformed is what every window reads: [rows, channels, window, height*width].
func (b *builder) deformed(n *onnx.Node, kernel []int64, height, width value) value {
	x, groups := n.Input(0), n.Int("offset_group", 1)
	w, _ := onnx.NewWindow(n, kernel)
	taps := kernel[0] * kernel[1]
	shifts := b.op("Reshape", n.Input(2), b.vec(0, groups, taps, 2, -1))
	points := b.concat(b.vec(-1, 1), b.mul(b.mul(height, width), b.vec(taps)))
	sizes := []value{b.sizeOf(x, 2), b.sizeOf(x, 3)}
	var along [][]tap
	for a, size := range sizes {
		var first []float32 // where the window's elements lie without a shift, from the window's place on
		for k := range taps {
			at := []int64{k / kernel[1], k % kernel[1]}[a]
			first = append(first, float32(at*w.Dilations[a]-w.Before[a]))
		}
		start := b.cast(b.out.Const(onnx.Floats([]int64{taps, 1}, first...)), b.dtype)
		at := b.add(start, b.cast(b.windowStarts(w, a, height, width), b.dtype))
		at = b.add(b.with("Gather", []value{shifts, b.out.Int(int64(a))}, onnx.IntAttr("axis", 3)), at)
		along = append(along, b.inside(n, b.taps(n, b.op("Reshape", at, points)), size))
	}
	share := b.div(b.sizeOf(x, 1), b.vec(groups))
	flat := b.op("Reshape", x, b.concat(b.vec(-1), share, b.mul(sizes[0], sizes[1])))
	read := b.tapped(flat, along, sizes, "", "")
	if mask := n.Input(4); mask != "" {
		read = b.mul(read, b.op("Reshape", mask, points))
	}
	return read
}

// windowStarts is where along axis a the window for each of height*width places begins.
func (b *builder) windowStarts(w onnx.Window, a int, height, width value) value {
	starts := b.op("Unsqueeze", b.count(height), b.vec(1))
	if a == 1 {
		starts = b.op("Unsqueeze", b.count(width), b.vec(0))
	}
	return b.op("Reshape", b.op("Expand", b.mul(starts, b.vec(w.Strides[a])), b.concat(height, width)), b.vec(-1))
}

// deformsOtherwise finds a DeformConv over other than two axes, or with a window of unknown size.
func deformsOtherwise(b *builder, n *onnx.Node) string {
	kernel := b.kernel(n)
	if len(kernel) != 2 || slices.Min(kernel) < 1 {
		return "its rule needs the sizes of its window, and two as the number of dimensions that it has"
	}
	if _, err := onnx.NewWindow(n, kernel); err != nil {
		return err.Error()
	}
	return ""
}
