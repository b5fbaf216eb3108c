package autodiff

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"metalora/onnx"
)

var shapeDraws = map[op]generator{
	{"", "Reshape"}:   always(drawReshape),
	{"", "Flatten"}:   always(drawAlongAxis("Flatten", anything)),
	{"", "Squeeze"}:   always(drawSqueeze),
	{"", "Unsqueeze"}: always(drawUnsqueeze),
	{"", "Transpose"}: always(drawTranspose),
	{"", "Concat"}:    always(drawConcat),
	{"", "Split"}:     always(drawSplit),
	{"", "Expand"}:    always(drawExpand),
	{"", "Tile"}:      always(drawTile),
	{"", "Pad"}:       always(drawPad),

	{"", "CenterCropPad"}:   since(18, drawCenterCropPad),
	{"", "DepthToSpace"}:    always(drawDepthToSpace),
	{"", "SpaceToDepth"}:    since(13, drawSpaceToDepth),
	{"", "Col2Im"}:          since(18, drawCol2Im.inFloat()),
	{"", "ReverseSequence"}: always(drawReverseSequence),

	{"", "Trilu"}: since(14, drawTrilu),
}

// drawReshape draws the dimensions in another order, some of them written as "what is left" or "as in the input".
func drawReshape(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 0, 3)
	target := wide(shape)
	r.Shuffle(len(target), func(i, j int) { target[i], target[j] = target[j], target[i] })
	if len(target) > 0 && r.IntN(3) == 0 {
		target = append(target[:len(target)-1], target[len(target)-1], 1)
	}
	if len(target) > 0 && r.IntN(2) == 0 {
		target[r.IntN(len(target))] = -1
	}
	if len(target) > 0 && target[0] == int64(shape[0]) {
		target[0] = 0
	}
	return shaped("Reshape", shape, target...)
}

// drawSqueeze draws dimensions of 1 to be dropped, or all of them.
func drawSqueeze(r *rand.Rand, opset int64) testCase {
	shape := append(anyShape(r, 0, 2), 1)
	r.Shuffle(len(shape), func(i, j int) { shape[i], shape[j] = shape[j], shape[i] })
	if r.IntN(4) == 0 {
		return node("Squeeze", nil, of(anything, shape)...)
	}
	var axes []int64
	for i, n := range shape {
		if n == 1 && (len(axes) == 0 || r.IntN(2) == 0) {
			axes = append(axes, int64(i))
		}
	}
	return withAxes("Squeeze", opset, shape, signed(r, axes, len(shape))...)
}

// withAxes is a case of an operator whose axes are an attribute before opset 13, an input since.
func withAxes(name string, opset int64, shape []int, axes ...int64) testCase {
	if opset >= 13 {
		return shaped(name, shape, axes...)
	}
	return node(name, []onnx.Attr{onnx.IntsAttr("axes", axes...)}, of(anything, shape)...)
}

func drawUnsqueeze(r *rand.Rand, opset int64) testCase {
	shape, more := anyShape(r, 0, 2), 1+r.IntN(2)
	rank := len(shape) + more
	return withAxes("Unsqueeze", opset, shape, signed(r, pick(r, rank, more), rank)...)
}

func drawTranspose(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 0, 4)
	if r.IntN(4) == 0 || len(shape) < 2 {
		return node("Transpose", nil, of(anything, shape)...)
	}
	return node("Transpose", []onnx.Attr{onnx.IntsAttr("perm", wide(r.Perm(len(shape)))...)}, of(anything, shape)...)
}

func drawConcat(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 1, 3)
	axis := anyAxis(r, len(shape))
	var in []input
	for range 1 + r.IntN(3) {
		part := slices.Clone(shape)
		part[within(axis, len(shape))] = anySize(r)
		in = append(in, input{part, anything})
	}
	return node("Concat", ints("axis", axis), in...)
}

// drawSplit draws parts of given lengths and, in the form that the operator set has, of equal ones. The parts are joined
// in reverse, or one of them is left out.
func drawSplit(r *rand.Rand, opset int64) testCase {
	shape, count := anyShape(r, 1, 3), 1+r.IntN(3)
	axis := anyAxis(r, len(shape))
	along := within(axis, len(shape))
	lengths, attrs := []int64{}, ints("axis", axis)
	total := 0
	for range count {
		lengths = append(lengths, int64(anySize(r)))
		total += int(lengths[len(lengths)-1])
	}
	equally := r.IntN(2) == 0
	shape[along] = total
	if equally {
		shape[along] = 2 * count
		if opset >= 18 {
			attrs = append(attrs, onnx.IntAttr("num_outputs", int64(count)))
		}
	}
	first := r.IntN(2)
	c := node("Split", attrs, of(anything, shape)...)
	c.name = fmt.Sprintf("%s in %v equally=%v from %d", c.name, lengths, equally, first)
	c.build = func(b *onnx.Builder, in []string) string {
		switch {
		case !equally && opset < 13:
			attrs = append(attrs, onnx.IntsAttr("split", lengths...))
		case !equally:
			in = append(in, b.Ints(lengths...))
		}
		parts := b.Node("", "Split", in, count, attrs...)
		parts = parts[min(first, count-1):]
		slices.Reverse(parts)
		return b.Op("Concat", parts, onnx.IntAttr("axis", axis))
	}
	return c
}

func drawExpand(r *rand.Rand, _ int64) testCase {
	shapes := broadcastTogether(r, 2)
	return shaped("Expand", shapes[0], wide(shapes[1])...)
}

func drawTile(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 1, 3)
	repeats := []int64{}
	for range shape {
		repeats = append(repeats, 1+r.Int64N(3))
	}
	return shaped("Tile", shape, repeats...)
}

// drawPad draws pads at both ends of every axis, with and without a value in the mode that has one. Where the operator set
// allows it, on some axes.
func drawPad(r *rand.Rand, opset int64) testCase {
	modes := []string{"constant", "constant", "reflect", "edge"}
	if opset >= 19 {
		modes = append(modes, "wrap")
	}
	shape, mode := anyShape(r, 1, 3), oneOf(r, modes)
	axes := pick(r, len(shape), len(shape))
	some := opset >= 18 && r.IntN(2) == 0
	if some {
		axes = signed(r, pick(r, len(shape), 1+r.IntN(len(shape))), len(shape))
	}
	pads := make([]int64, 2*len(axes))
	for i := range pads {
		pads[i] = padWithin(r, mode, int64(shape[within(axes[i%len(axes)], len(shape))]))
	}
	c := testCase{name: fmt.Sprint(mode, shape, pads, axes, some), inputs: of(anything, shape)}
	if mode == "constant" && r.IntN(2) == 0 {
		c.inputs = append(c.inputs, input{dims(), anything})
	}
	c.build = func(b *onnx.Builder, in []string) string {
		in = slices.Insert(slices.Clone(in), 1, b.Ints(pads...))
		if some {
			in = append(in, make([]string, 3-len(in))...)
			in = append(in, b.Ints(axes...))
		}
		return b.Op("Pad", in, onnx.StringAttr("mode", mode))
	}
	return c
}

// padWithin draws how far an end of n elements is padded: no further than the other end where it repeats them.
func padWithin(r *rand.Rand, mode string, n int64) int64 {
	switch mode {
	case "reflect":
		return r.Int64N(n)
	case "wrap":
		return r.Int64N(n + 1)
	}
	return r.Int64N(3)
}

func drawTrilu(r *rand.Rand, _ int64) testCase {
	shape, upper := anyShape(r, 2, 3), r.Int64N(2)
	if r.IntN(2) == 0 {
		return node("Trilu", ints("upper", upper), of(anything, shape)...)
	}
	k := r.Int64N(5) - 2
	c := node("Trilu", ints("upper", upper), of(anything, shape)...)
	c.name = fmt.Sprintf("%s from %d", c.name, k)
	c.build = func(b *onnx.Builder, in []string) string {
		return b.Op("Trilu", []string{in[0], b.Int(k)}, onnx.IntAttr("upper", upper))
	}
	return c
}

// drawCenterCropPad draws other sizes for all axes, or for some.
func drawCenterCropPad(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 1, 3)
	axes := pick(r, len(shape), len(shape))
	var attrs []onnx.Attr
	if r.IntN(2) == 0 {
		axes = signed(r, pick(r, len(shape), 1+r.IntN(len(shape))), len(shape))
		attrs = append(attrs, onnx.IntsAttr("axes", axes...))
	}
	var sizes []int64
	for range axes {
		sizes = append(sizes, 1+r.Int64N(6))
	}
	c := node("CenterCropPad", attrs, of(anything, shape)...)
	c.name = fmt.Sprint(c.name, " to ", sizes)
	c.build = func(b *onnx.Builder, in []string) string {
		return b.Op("CenterCropPad", []string{in[0], b.Ints(sizes...)}, attrs...)
	}
	return c
}

func drawDepthToSpace(r *rand.Rand, _ int64) testCase {
	size := 1 + r.IntN(3)
	shape := dims(anySize(r), size*size*(1+r.IntN(2)), 1+r.IntN(2), 1+r.IntN(2))
	attrs := ints("blocksize", int64(size))
	if mode := oneOf(r, []string{"", "DCR", "CRD"}); mode != "" {
		attrs = append(attrs, onnx.StringAttr("mode", mode))
	}
	return node("DepthToSpace", attrs, of(anything, shape)...)
}

func drawSpaceToDepth(r *rand.Rand, _ int64) testCase {
	size := 1 + r.IntN(3)
	shape := dims(anySize(r), 1+r.IntN(2), size*(1+r.IntN(2)), size*(1+r.IntN(2)))
	return node("SpaceToDepth", ints("blocksize", int64(size)), of(anything, shape)...)
}

// drawReverseSequence draws lengths of sequences that lie along either of the first two axes.
func drawReverseSequence(r *rand.Rand, _ int64) testCase {
	shape, batch := anyShape(r, 2, 3), r.IntN(2)
	attrs := append(ints("batch_axis", int64(batch)), onnx.IntAttr("time_axis", int64(1-batch)))
	lengths := make([]int64, shape[batch])
	for i := range lengths {
		lengths[i] = 1 + r.Int64N(int64(shape[1-batch]))
	}
	c := node("ReverseSequence", attrs, of(anything, shape)...)
	c.name = fmt.Sprint(c.name, lengths)
	c.build = func(b *onnx.Builder, in []string) string {
		return b.Op("ReverseSequence", []string{in[0], b.Ints(lengths...)}, attrs...)
	}
	return c
}

// drawCol2Im draws blocks that overlap, lie apart or reach into the padding of an image of two dimensions.
var drawCol2Im draw = func(r *rand.Rand, _ int64) testCase {
	var image, block, strides, dilations, pads []int64
	size, count := 1, 1
	for range 2 {
		k, stride, dilation, pad := 1+r.IntN(2), 1+r.IntN(2), 1+r.IntN(2), r.IntN(2)
		n := dilation*(k-1) + 1 + r.IntN(3)
		image, block = append(image, int64(n)), append(block, int64(k))
		strides, dilations, pads = append(strides, int64(stride)), append(dilations, int64(dilation)), append(pads, int64(pad))
		size *= k
		count *= (n+2*pad-dilation*(k-1)-1)/stride + 1
	}
	shape := dims(1+r.IntN(2), (1+r.IntN(2))*size, count)
	attrs := []onnx.Attr{onnx.IntsAttr("strides", strides...), onnx.IntsAttr("dilations", dilations...), onnx.IntsAttr("pads", append(pads, pads...)...)}
	c := node("Col2Im", attrs, of(anything, shape)...)
	c.name = fmt.Sprint(c.name, image, block)
	c.build = func(b *onnx.Builder, in []string) string {
		return b.Op("Col2Im", []string{in[0], b.Ints(image...), b.Ints(block...)}, attrs...)
	}
	return c
}
