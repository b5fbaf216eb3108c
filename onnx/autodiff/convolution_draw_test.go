package autodiff

import (
	"math/rand/v2"
	"slices"

	"metalora/onnx"
)

var convolutionDraws = map[op]generator{
	{"", "Conv"}:          always(drawConv.inFloat()),
	{"", "ConvTranspose"}: always(drawConvTranspose.inFloat()),
}

// sliding is a window over one to three spatial axes, and its attributes.
type sliding struct {
	kernel, strides, dilations, before, after []int
	attrs                                     []onnx.Attr
}

// anySliding draws a window over so many axes. Padding is smaller than the window, as poolings ask.
func anySliding(r *rand.Rand, axes int) sliding {
	var s sliding
	for range axes {
		k, d := oneOf(r, []int{1, 2, 3}), oneOf(r, []int{1, 1, 2})
		s.kernel, s.dilations = append(s.kernel, k), append(s.dilations, d)
		s.strides = append(s.strides, oneOf(r, []int{1, 1, 2, 3}))
		s.before, s.after = append(s.before, r.IntN(k)), append(s.after, r.IntN(k))
	}
	if r.IntN(3) > 0 {
		s.attrs = append(s.attrs, listAttr("strides", s.strides))
	} else {
		s.strides = same(axes, 1)
	}
	s.pad(r)
	return s
}

// pad draws padding: numbers, none, or what auto_pad makes of them; and dilations, which go with most of these.
func (s *sliding) pad(r *rand.Rand) {
	axes := len(s.kernel)
	auto := oneOf(r, []string{"SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "NOTSET", "NOTSET", "", ""})
	if r.IntN(2) == 0 && auto[:min(4, len(auto))] != "SAME" {
		s.attrs = append(s.attrs, listAttr("dilations", s.dilations))
	} else {
		s.dilations = same(axes, 1)
	}
	switch auto {
	case "NOTSET":
		s.attrs = append(s.attrs, listAttr("pads", slices.Concat(s.before, s.after)))
	case "":
		s.before, s.after = same(axes, 0), same(axes, 0)
	default:
		s.before, s.after = same(axes, 0), same(axes, 0)
		s.attrs = append(s.attrs, onnx.StringAttr("auto_pad", auto))
	}
}

func same(n, x int) []int {
	xs := make([]int, n)
	for i := range xs {
		xs[i] = x
	}
	return xs
}

func listAttr(name string, xs []int) onnx.Attr { return onnx.IntsAttr(name, wide(xs)...) }

// room is a size along axis i in which the window has place.
func (s sliding) room(r *rand.Rand, i int) int {
	return max(1, (s.kernel[i]-1)*s.dilations[i]+1-s.before[i]-s.after[i]) + r.IntN(4)
}

// drawConv draws convolutions over one to three axes, in groups, as few as one channel each.
var drawConv draw = func(r *rand.Rand, _ int64) testCase {
	s := anySliding(r, 1+r.IntN(3))
	group, in, out := oneOf(r, []int{1, 1, 2, 3}), 1+r.IntN(2), 1+r.IntN(2)
	x, w := dims(1+r.IntN(2), group*in), dims(group*out, in)
	for i := range s.kernel {
		x, w = append(x, s.room(r, i)), append(w, s.kernel[i])
	}
	return convolved("Conv", r, s, group, group*out, x, w)
}

// drawConvTranspose draws transposed convolutions, with output_padding and with output_shape.
var drawConvTranspose draw = func(r *rand.Rand, _ int64) testCase {
	axes := 1 + r.IntN(3)
	s := anySliding(r, axes)
	group, in, out := oneOf(r, []int{1, 1, 2}), 1+r.IntN(2), 1+r.IntN(2)
	x, w := dims(1+r.IntN(2), group*in), dims(group*in, out)
	extra, wanted := make([]int, axes), make([]int, axes)
	for i := range s.kernel {
		size := 2 + r.IntN(2)
		x, w = append(x, size), append(w, s.kernel[i])
		extra[i] = r.IntN(s.strides[i])
		wanted[i] = max(size, (size-1)*s.strides[i]+(s.kernel[i]-1)*s.dilations[i]+1-r.IntN(3)) // less than x is refused by the runtime
	}
	switch r.IntN(3) {
	case 0:
		s.attrs = append(s.attrs, listAttr("output_padding", extra))
	case 1:
		s.attrs = append(s.attrs, listAttr("output_shape", wanted))
	}
	return convolved("ConvTranspose", r, s, group, group*out, x, w)
}

// convolved is a case of a convolution, with or without a bias.
func convolved(name string, r *rand.Rand, s sliding, group, out int, x, w []int) testCase {
	attrs := s.attrs
	if group > 1 {
		attrs = append(attrs, onnx.IntAttr("group", int64(group)))
	}
	if r.IntN(2) == 0 {
		attrs = append(attrs, listAttr("kernel_shape", s.kernel))
	}
	in := of(anything, x, w)
	if r.IntN(2) == 0 {
		in = append(in, input{dims(out), anything})
	}
	return node(name, attrs, in...)
}
