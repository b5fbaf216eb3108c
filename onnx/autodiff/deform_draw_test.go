package autodiff

import (
	"math/rand/v2"

	"metalora/onnx"
)

var deformDraws = map[op]generator{
	{"", "DeformConv"}: since(22, drawDeformConv),
}

// drawDeformConv draws windows in groups, moved by parts of an element.
func drawDeformConv(r *rand.Rand, _ int64) testCase {
	s := anySliding(r, 2)
	for len(s.attrs) > 0 && s.attrs[len(s.attrs)-1].Name == "auto_pad" || len(s.attrs) > 1 && s.attrs[1].Name == "auto_pad" {
		s = anySliding(r, 2)
	}
	group, offsets, rows := 1+r.IntN(2), 1+r.IntN(2), 1+r.IntN(2)
	in, out := 2*(1+r.IntN(2)), group*(1+r.IntN(2))
	image, places := dims(), dims()
	for i, k := range s.kernel {
		image = append(image, s.room(r, i))
		places = append(places, (image[i]+s.before[i]+s.after[i]-(k-1)*s.dilations[i]-1)/s.strides[i]+1)
	}
	window := s.kernel[0] * s.kernel[1]
	shift := func(r *rand.Rand, _ int) float64 { return float64(r.IntN(3)-1) + 0.25 + 0.4*r.Float64() }
	c := recipe{op: "DeformConv"}
	c.take(anything, append(dims(rows, in), image...)...)
	c.take(anything, append(dims(out, in/group), s.kernel...)...)
	c.take(shift, append(dims(rows, offsets*window*2), places...)...)
	if r.IntN(2) == 0 {
		c.take(anything, out)
	} else {
		c.leave()
	}
	if r.IntN(2) == 0 {
		c.take(anything, append(dims(rows, offsets*window), places...)...)
	}
	c.attr(s.attrs...)
	c.attr(onnx.IntAttr("group", int64(group)), onnx.IntAttr("offset_group", int64(offsets)))
	return c.testCase()
}
