package autodiff

import (
	"math"

	"metalora/onnx"
)

// Regions of images: rois [regions, 4] are x1, y1, x2, y2, and the result is [regions, channels, places down, places along]. What is
// read along one axis does not hang on the other, so both operators are written as two steps, one an axis.

// interval is a region's part of one axis, from start on: [regions, 1] each.
type interval struct{ start, length value }

// corner is one number of each region, at the scale of the image: [regions, 1].
func (b *builder) corner(n *onnx.Node, i int64) value {
	return b.times(b.with("Gather", []value{n.Input(1), b.vec(i)}, onnx.IntAttr("axis", 1)), float64(n.Float("spatial_scale", 1)))
}

// roiAlign is a mean over points of each place, read between elements (He et al. 2017, Mask R-CNN). Reading is linear, so that a region
// gives D·x·Rᵀ: along each axis a matrix [places, size] has what share of each element is in each place.
func roiAlign(b *builder, n *onnx.Node) []value {
	x := b.op("Gather", n.Input(0), n.Input(2)) // [regions, channels, height, width]
	down := b.aligned(n, 1, n.Int("output_height", 1), b.sizeOf(n.Input(0), 2))
	along := b.aligned(n, 0, n.Int("output_width", 1), b.sizeOf(n.Input(0), 3))
	return []value{b.matmul(b.matmul(down, x), b.transpose(along, []int64{0, 1, 3, 2}))}
}

// aligned is the matrix [regions, 1, places, size] of one axis: 0 for x, 1 for y.
func (b *builder) aligned(n *onnx.Node, axis, places int64, size value) value {
	r := b.continuous(n, axis)
	bin := b.times(r.length, 1/float64(places))
	points := b.num(float64(n.Int("sampling_ratio", 0))) // in each place
	if n.Int("sampling_ratio", 0) <= 0 {
		points = b.op("Ceil", bin)
	}
	one := b.op("Max", points, b.num(1))
	most := b.op("Reshape", b.cast(b.reduce("ReduceMax", b.op("Reshape", one, b.vec(-1)), 0), onnx.Int64), b.vec(1))
	place := b.op("Unsqueeze", b.cast(b.count(b.vec(places)), b.dtype), b.vec(1))
	point := b.cast(b.count(most), b.dtype)
	wide := func(v value) value { return b.op("Reshape", v, b.vec(-1, 1, 1)) }
	offset := b.div(b.add(point, b.num(0.5)), wide(one))
	at := b.add(wide(r.start), b.mul(b.add(place, offset), wide(bin))) // [regions, places, points]
	end := b.cast(size, b.dtype)
	read := b.op("And", b.less(point, wide(points)), b.op("Not", b.op("Or", b.less(at, b.num(-1)), b.greater(at, end))))
	share := b.where(read, b.div(b.num(1), wide(one)), b.num(0))
	inside := b.op("Max", b.num(0), b.op("Min", at, b.sub(end, b.num(1))))
	away := b.op("Abs", b.sub(b.op("Unsqueeze", inside, b.vec(3)), b.cast(b.count(size), b.dtype)))
	part := b.mul(b.op("Relu", b.sub(b.num(1), away)), b.op("Unsqueeze", share, b.vec(3)))
	return b.op("Unsqueeze", b.sumDrop(part, 2), b.vec(1))
}

// continuous is a region's part of an axis where half a pixel lies before the first one's middle, or none does and no region is
// shorter than a pixel.
func (b *builder) continuous(n *onnx.Node, axis int64) interval {
	start, end := b.corner(n, axis), b.corner(n, axis+2)
	mode := n.Attr("coordinate_transformation_mode")
	const halfPixels = 16 // the opset from which on that is the default
	if mode != nil && mode.S == "output_half_pixel" || mode == nil && b.model.Opset("") < halfPixels {
		return interval{start, b.op("Max", b.sub(end, start), b.num(1))}
	}
	return interval{b.sub(start, b.num(0.5)), b.sub(end, start)}
}

// alignsOtherwise finds a RoiAlign that the runtime itself computes as something else.
func alignsOtherwise(_ *builder, n *onnx.Node) string {
	if mode := n.Attr("mode"); mode != nil && mode.S != "avg" {
		return "there is no rule for mode " + mode.S + ", in which ONNX Runtime takes the largest weighted corner, not the largest point"
	}
	return ""
}

// maxRoiPool is the largest element of each place (Girshick 2015, Fast R-CNN): rois [regions, 5] begin with the image's number, and are
// rounded to whole elements. A place without elements is zero.
func maxRoiPool(b *builder, n *onnx.Node) []value {
	image := b.with("Gather", []value{n.Input(1), b.out.Int(0)}, onnx.IntAttr("axis", 1))
	x := b.op("Gather", n.Input(0), b.cast(image, onnx.Int64))
	pooled := n.Ints("pooled_shape")
	down, some := b.pooled(n, 2, pooled[0], b.sizeOf(n.Input(0), 2))
	along, any := b.pooled(n, 1, pooled[1], b.sizeOf(n.Input(0), 3))
	low := b.num(-math.MaxFloat32)
	rows := b.where(b.op("Unsqueeze", along, b.vec(1, 2)), b.op("Unsqueeze", x, b.vec(3)), low) // [regions, channels, height, places, width]
	x = b.op("Squeeze", b.reduce("ReduceMax", rows, 4), b.vec(4))
	columns := b.where(b.op("Unsqueeze", down, b.vec(1, 4)), b.op("Unsqueeze", x, b.vec(2)), low) // [regions, channels, places, height, places]
	x = b.op("Squeeze", b.reduce("ReduceMax", columns, 3), b.vec(3))
	filled := b.op("And", b.op("Unsqueeze", some, b.vec(1, 3)), b.op("Unsqueeze", any, b.vec(1, 2)))
	return []value{b.only(filled, x)}
}

// pooled says which elements of an axis each place has, [regions, places, size], and whether it has any, [regions, places].
func (b *builder) pooled(n *onnx.Node, corner, places int64, size value) (elements, any value) {
	start, end := b.rounded(b.corner(n, corner)), b.rounded(b.corner(n, corner+2))
	bin := b.times(b.op("Max", b.add(b.sub(end, start), b.num(1)), b.num(1)), 1/float64(places))
	place, last := b.cast(b.count(b.vec(places)), b.dtype), b.cast(size, b.dtype)
	within := func(at value) value { return b.op("Max", b.num(0), b.op("Min", b.add(at, start), last)) }
	from := within(b.op("Floor", b.mul(place, bin)))
	to := within(b.op("Ceil", b.mul(b.add(place, b.num(1)), bin)))
	element := b.cast(b.count(size), b.dtype)
	behind := b.op("Not", b.less(element, b.op("Unsqueeze", from, b.vec(2))))
	return b.op("And", behind, b.less(element, b.op("Unsqueeze", to, b.vec(2)))), b.less(from, to)
}

// rounded is the nearest whole number, halves away from zero.
func (b *builder) rounded(x value) value {
	return b.mul(b.op("Sign", x), b.op("Floor", b.add(b.op("Abs", x), b.num(0.5))))
}
