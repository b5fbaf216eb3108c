package autodiff

import "metalora/onnx"

// tap is one of the elements along an axis that a point between elements is made of: its place, a whole number in float, and
// its weight.
type tap struct{ place, weight value }

// gridSample: y = x [rows, channels, ...] read at points that the grid [rows, ..., axes] gives in units of half the image, the
// last axis first. Each point is the sum of its taps along all axes.
func gridSample(b *builder, n *onnx.Node) []value {
	x, grid := n.Input(0), n.Input(1)
	axes := int64(b.rank(x) - 2)
	var along [][]tap
	var sizes []value
	for a := range axes {
		size := b.sizeOf(x, a+2)
		points := b.op("Reshape", b.with("Gather", []value{grid, b.out.Int(axes - 1 - a)}, onnx.IntAttr("axis", -1)), b.vec(0, 1, -1))
		along = append(along, b.inside(n, b.taps(n, b.placed(n, points, size)), size))
		sizes = append(sizes, size)
	}
	flat := b.op("Reshape", x, b.vec(0, 0, -1))
	y := b.tapped(flat, along, sizes, "", "")
	shape := b.concat(b.op("Slice", b.shapeOf(x), b.vec(0), b.vec(2)), b.op("Slice", b.shapeOf(grid), b.vec(1), b.vec(-1)))
	return []value{b.op("Reshape", y, shape)}
}

// tapped sums weight*x at place over all combinations of one tap an axis, given the place and the weight that the axes before
// make.
func (b *builder) tapped(x value, along [][]tap, sizes []value, place, weight value) value {
	if len(along) == 0 {
		channels := b.concat(b.vec(1), b.op("Gather", b.op("Shape", x), b.vec(1)), b.vec(1))
		read := b.with("GatherElements", []value{x, b.op("Expand", b.cast(place, onnx.Int64), channels)}, onnx.IntAttr("axis", 2))
		return b.mul(read, weight)
	}
	var sum value
	for _, t := range along[0] {
		at, w := t.place, t.weight
		if place != "" {
			at, w = b.add(b.mul(place, b.cast(sizes[0], b.dtype)), at), b.mul(weight, w)
		}
		part := b.tapped(x, along[1:], sizes[1:], at, w)
		if sum == "" {
			sum = part
		} else {
			sum = b.add(sum, part)
		}
	}
	return sum
}

// placed is where points lie among the elements of an axis: -1 and 1 are the middle of its first and last element, or their
// outer borders.
func (b *builder) placed(n *onnx.Node, points, size value) value {
	size = b.cast(size, b.dtype)
	half := b.times(b.add(points, b.num(1)), 0.5)
	if n.Int("align_corners", 0) != 0 {
		return b.mul(half, b.sub(size, b.num(1)))
	}
	return b.sub(b.mul(half, size), b.num(0.5))
}

// taps are the nearest element, the two around the point, or the four around it with the weights of cubic convolution (Keys
// 1981, a = -0.75).
func (b *builder) taps(n *onnx.Node, at value) []tap {
	mode := "linear"
	if a := n.Attr("mode"); a != nil {
		mode = a.S
	}
	if mode == "nearest" {
		return []tap{{b.op("Round", at), b.num(1)}}
	}
	first := b.op("Floor", at)
	t := b.sub(at, first)
	rest := b.sub(b.num(1), t)
	next := b.add(first, b.num(1))
	if mode == "linear" || mode == "bilinear" {
		return []tap{{first, rest}, {next, t}}
	}
	const a = -0.75
	near := func(t value) value { // (a+2)t³ - (a+3)t² + 1
		return b.add(b.mul(b.square(t), b.sub(b.times(t, a+2), b.num(a+3))), b.num(1))
	}
	far := func(t value) value { // a*(t³ - 2t² + t) = a*t*(1-t)², by the distance t of the nearer neighbour
		return b.times(b.mul(t, b.square(b.sub(b.num(1), t))), a)
	}
	before, after := b.sub(first, b.num(1)), b.add(next, b.num(1))
	return []tap{{before, far(t)}, {first, near(t)}, {next, near(rest)}, {after, far(rest)}}
}

// inside moves taps from outside an axis of so many elements to what the padding says, or takes their weight.
func (b *builder) inside(n *onnx.Node, taps []tap, size value) []tap {
	size = b.cast(size, b.dtype)
	last := b.sub(size, b.num(1))
	mode := "zeros"
	if a := n.Attr("padding_mode"); a != nil {
		mode = a.S
	}
	for i, t := range taps {
		place := t.place
		switch {
		case mode == "reflection" && n.Int("align_corners", 0) != 0: // about the first and the last element
			period := b.op("Max", b.times(last, 2), b.num(1))
			place = b.folded(place, period, period)
		case mode == "reflection": // about the borders
			period := b.times(size, 2)
			place = b.folded(place, period, b.sub(period, b.num(1)))
		}
		within := b.op("Max", b.num(0), b.op("Min", place, last))
		if mode == "zeros" {
			taps[i].weight = b.only(b.equal(within, place), b.op("Expand", t.weight, b.op("Shape", place)))
		}
		taps[i].place = within
	}
	return taps
}

// folded is place modulo period, or mirror less that where it is smaller.
func (b *builder) folded(place, period, mirror value) value {
	rest := b.sub(place, b.mul(b.op("Floor", b.div(place, period)), period))
	return b.op("Min", rest, b.op("Abs", b.sub(mirror, rest)))
}

// y = base*θᵀ, a grid [rows, ..., axes] of points that a matrix [rows, axes, axes+1] makes of those of an image: dθ = dyᵀ*base. The
// base, with ones as its last coordinate, is what the operator makes of identities.
func affineGrid(b *builder, n *onnx.Node, dy value, _ int) value {
	theta := n.Input(0)
	axes := b.rank(n.Output(0)) - 2
	rows := b.sizeOf(theta, 0)
	eye := b.op("EyeLike", b.filled(0, b.vec(int64(axes), int64(axes+1))))
	eye = b.op("Expand", eye, b.concat(rows, b.vec(int64(axes), int64(axes+1))))
	points := b.with("AffineGrid", []value{eye, n.Input(1)}, onnx.IntAttr("align_corners", n.Int("align_corners", 0)))
	flat := b.concat(rows, b.vec(-1, int64(axes)))
	base := b.op("Reshape", points, flat)
	d := b.transpose(b.op("Reshape", dy, flat), []int64{0, 2, 1})
	moved := b.sumKeep(d, 2)
	return b.with("Concat", []value{b.matmul(d, base), moved}, onnx.IntAttr("axis", 2))
}

// gridUnknown finds an AffineGrid that makes points of a number of axes that is not known.
func gridUnknown(b *builder, n *onnx.Node) string {
	if b.rank(n.Output(0)) < 0 {
		return "its rule needs the number of dimensions of its output, which is not known"
	}
	return ""
}
