package autodiff

import (
	"math"
	"math/rand/v2"

	"metalora/onnx"
)

var roiDraws = map[op]generator{
	{"", "RoiAlign"}:   always(drawRoiAlign.inFloat()),
	{"", "MaxRoiPool"}: always(drawMaxRoiPool.inFloat()),
}

// newestRoi is the last operator set for which ONNX Runtime 1.30 has kernels of these operators.
const newestRoi = 21

// listed fills an input with numbers that are drawn already.
func listed(xs []float64) values { return func(_ *rand.Rand, i int) float64 { return xs[i] } }

// drawRoiAlign draws regions of images, larger than the image some of them, with points between elements.
var drawRoiAlign draw = func(r *rand.Rand, opset int64) testCase {
	opset = min(opset, newestRoi)
	height, width, places, ratio := 2+r.IntN(4), 2+r.IntN(4), [2]int{1 + r.IntN(2), 1 + r.IntN(2)}, r.IntN(3)
	half, scale := opset >= 16, 1.0
	c := recipe{op: "RoiAlign", note: "RoiAlign "}
	c.take(anything, 2, 2, height, width)
	c.attr(onnx.IntAttr("output_width", int64(places[0])), onnx.IntAttr("output_height", int64(places[1])), onnx.IntAttr("sampling_ratio", int64(ratio)))
	if r.IntN(2) == 0 {
		scale = 0.5
		c.attr(onnx.FloatAttr("spatial_scale", 0.5))
	}
	if opset >= 16 && r.IntN(2) == 0 {
		half = false
		c.attr(onnx.StringAttr("coordinate_transformation_mode", "output_half_pixel"))
	}
	regions := 1 + r.IntN(2)
	corners := make([]float64, 4*regions)
	for i := range regions {
		for axis, size := range []int{width, height} {
			start, end := offBends(r, size, places[axis], ratio, half)
			corners[4*i+axis], corners[4*i+axis+2] = start/scale, end/scale
		}
	}
	if ratio > 0 {
		c.take(listed(corners), regions, 4)
	} else { // the number of points is then a shape
		c.fix(onnx.Floats([]int64{int64(regions), 4}, singles(corners)...))
	}
	c.fix(onnx.Int64s([]int64{int64(regions)}, placesIn(r, regions, 2)...))
	drawn := c.testCase()
	drawn.opset = opset
	return drawn
}

// offBends draws a region of an axis none of whose points is near an element's middle, where its share has a bend.
func offBends(r *rand.Rand, size, places, ratio int, half bool) (start, end float64) {
	const near = 0.13
	for {
		start = -1.5 + r.Float64()*float64(size)
		end = start + 0.3 + r.Float64()*float64(size+2)
		first, length := start, end-start
		if half {
			first -= 0.5
		} else if length < 1+near {
			continue
		}
		bin, points := length/float64(places), float64(ratio)
		if ratio == 0 {
			points = math.Ceil(bin)
		}
		clear := ratio > 0 || math.Abs(bin-math.Round(bin)) > near
		for p := range places {
			for i := range int(points) {
				at := first + (float64(p)+(float64(i)+0.5)/points)*bin
				clear = clear && math.Abs(at-math.Round(at)) > near
			}
		}
		if clear {
			return start, end
		}
	}
}

// drawMaxRoiPool draws regions whose corners are not near halves, where rounding jumps.
var drawMaxRoiPool draw = func(r *rand.Rand, opset int64) testCase {
	height, width, regions := 1+r.IntN(4), 1+r.IntN(5), 1+r.IntN(3)
	c := recipe{op: "MaxRoiPool", note: "MaxRoiPool "}
	c.take(distinct, 2, 2, height, width)
	c.attr(onnx.IntsAttr("pooled_shape", 1+r.Int64N(3), 1+r.Int64N(3)))
	scale := 1.0
	if r.IntN(2) == 0 {
		scale = 0.5
		c.attr(onnx.FloatAttr("spatial_scale", 0.5))
	}
	whole := func(from, to int) float64 { return (float64(from+r.IntN(to-from+1)) + 0.3*(2*r.Float64()-1)) / scale }
	var rois []float64
	for range regions {
		x, y := r.IntN(width), r.IntN(height)
		rois = append(rois, float64(r.IntN(2)), whole(-1, x), whole(-1, y), whole(x, width+1), whole(y, height+1))
	}
	c.fix(onnx.Floats([]int64{int64(regions), 5}, singles(rois)...))
	drawn := c.testCase()
	drawn.opset = min(opset, newestRoi)
	return drawn
}

func singles(xs []float64) []float32 {
	list := make([]float32, len(xs))
	for i, x := range xs {
		list[i] = float32(x)
	}
	return list
}
