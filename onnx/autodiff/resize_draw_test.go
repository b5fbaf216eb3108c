package autodiff

import (
	"math/rand/v2"

	"metalora/onnx"
)

var resizeDraws = map[op]generator{
	{"", "Resize"}: since(13, drawResize.inFloat()),
}

// drawResize draws all modes, ways to place the points, and ways to say the size; by factors that are whole and not, up and
// down.
var drawResize draw = func(r *rand.Rand, opset int64) testCase {
	mode := oneOf(r, []string{"nearest", "linear", "cubic"})
	rank := oneOf(r, []int{2, 4, 4})
	if mode == "nearest" && r.IntN(2) == 0 {
		rank = 3
	}
	shape := dims()
	for range rank {
		shape = append(shape, 1+r.IntN(4))
	}
	c := recipe{op: "Resize"}
	c.attr(onnx.StringAttr("mode", mode))
	c.take(anything, shape...)
	axes := axesUpTo(rank)
	if opset >= 18 && r.IntN(2) == 0 {
		axes = []int64{int64(rank - 1), int64(rank - 2)}
		c.attr(onnx.IntsAttr("axes", signed(r, axes, rank)...))
	}
	c.placed(r, mode, opset)
	region := c.region(r, axes, rank)
	if r.IntN(2) == 0 || region {
		scales := make([]float32, len(axes))
		for i, a := range axes {
			scales[i] = 1
			if int(a) >= rank-2 {
				scales[i] = float32(oneOf(r, []float64{0.6, 1, 1.5, 2, 3, 2.3}))
				if int(float32(shape[a])*scales[i]) < 1 {
					scales[i] = 1
				}
			}
		}
		c.fix(onnx.Floats([]int64{int64(len(scales))}, scales...))
		return c.testCase()
	}
	sizes := make([]int64, len(axes))
	for i, a := range axes {
		sizes[i] = int64(shape[a])
		if int(a) >= rank-2 {
			sizes[i] = 1 + r.Int64N(6)
		}
	}
	c.leave()
	c.fix(onnx.Int64s([]int64{int64(len(sizes))}, sizes...))
	return c.testCase()
}

// placed draws how points of the output are placed in the input, and what is made of those between elements.
func (c *recipe) placed(r *rand.Rand, mode string, opset int64) {
	places := []string{"half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners", "tf_crop_and_resize"}
	if opset >= 19 {
		places = append(places, "half_pixel_symmetric")
	}
	if r.IntN(4) > 0 {
		c.attr(onnx.StringAttr("coordinate_transformation_mode", oneOf(r, places)))
	}
	switch {
	case mode == "nearest" && r.IntN(2) == 0:
		c.attr(onnx.StringAttr("nearest_mode", oneOf(r, []string{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})))
	case mode == "cubic" && r.IntN(2) == 0:
		c.attr(onnx.FloatAttr("cubic_coeff_a", -0.5))
	}
	if mode == "cubic" && r.IntN(3) == 0 {
		c.attr(onnx.IntAttr("exclude_outside", 1))
	}
	if mode != "nearest" && opset >= 18 && r.IntN(4) == 0 {
		c.attr(onnx.IntAttr("antialias", 1))
	}
}

// region gives the part of the input that a crop takes, or leaves it out.
func (c *recipe) region(r *rand.Rand, axes []int64, rank int) bool {
	crops := false
	for _, a := range c.attrs {
		crops = crops || a.S == "tf_crop_and_resize"
	}
	if !crops {
		c.leave()
		return false
	}
	c.attr(onnx.FloatAttr("extrapolation_value", 7))
	starts, ends := make([]float32, len(axes)), make([]float32, len(axes))
	for i, a := range axes {
		ends[i] = 1
		if int(a) >= rank-2 {
			starts[i], ends[i] = 0.25*r.Float32(), 0.75+0.5*r.Float32()
		}
	}
	c.fix(onnx.Floats([]int64{int64(2 * len(axes))}, append(starts, ends...)...))
	return true
}
