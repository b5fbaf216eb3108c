package autodiff

import (
	"math/rand/v2"

	"metalora/onnx"
)

var resizeDraws = map[op]generator{
	{"", "Resize"}:     since(13, drawResize.inFloat()),
	{"", "GridSample"}: since(16, drawGridSample),
	{"", "AffineGrid"}: since(20, drawAffineGrid),
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
	axes, policy := axesUpTo(rank), ""
	if opset >= 18 && r.IntN(2) == 0 {
		axes = []int64{int64(rank - 1), int64(rank - 2)}
		named := signed(r, axes, rank)
		if r.IntN(2) == 0 {
			policy = oneOf(r, []string{"not_larger", "not_smaller", "stretch"})
			named = axes // with a policy the runtime does not know axes that are counted from the end
		}
		c.attr(onnx.IntsAttr("axes", named...))
	}
	c.placed(r, mode, opset)
	region := c.region(r, axes, rank)
	if policy == "" && r.IntN(2) == 0 || region {
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
	if policy != "" {
		c.attr(onnx.StringAttr("keep_aspect_ratio_policy", policy))
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

// drawGridSample draws images and, since opset 20, volumes, read inside and outside, between elements.
func drawGridSample(r *rand.Rand, opset int64) testCase {
	axes := 2
	modes := []string{"bilinear", "nearest", "bicubic"}
	if opset >= 20 {
		modes = []string{"linear", "nearest", "cubic"}
		if r.IntN(3) == 0 {
			axes, modes = 3, modes[:2]
		}
	}
	rows := 1 + r.IntN(2)
	x, grid := dims(rows, 1+r.IntN(2)), dims(rows)
	for range axes {
		x, grid = append(x, 1+r.IntN(3)), append(grid, 1+r.IntN(2))
	}
	attrs := []onnx.Attr{onnx.StringAttr("mode", oneOf(r, modes))}
	if padding := oneOf(r, []string{"zeros", "border", "reflection", ""}); padding != "" {
		attrs = append(attrs, onnx.StringAttr("padding_mode", padding))
	}
	align := r.Int64N(2)
	attrs = append(attrs, onnx.IntAttr("align_corners", align))
	c := node("GridSample", attrs, input{x, anything}, input{append(grid, axes), betweenElements(x[2:], align == 1)})
	c.single = opset < 20
	return c
}

// betweenElements gives points that lie a quarter of the way between elements, up to one element outside, so that nothing has
// a bend there.
func betweenElements(sizes []int, align bool) values {
	return func(r *rand.Rand, i int) float64 {
		size := float64(sizes[len(sizes)-1-i%len(sizes)])
		at := float64(r.IntN(int(size)+1)) - 0.75 + 0.1*r.Float64()
		if align {
			return 2*at/max(1, size-1) - 1
		}
		return (2*at+1)/size - 1
	}
}

// drawAffineGrid draws grids for images and volumes.
func drawAffineGrid(r *rand.Rand, _ int64) testCase {
	axes, rows := 2+r.IntN(2), 1+r.IntN(2)
	c := recipe{op: "AffineGrid"}
	c.take(anything, rows, axes, axes+1)
	size := []int64{int64(rows), 1}
	for range axes {
		size = append(size, 1+r.Int64N(3))
	}
	c.fix(onnx.Int64s([]int64{int64(len(size))}, size...))
	c.attr(onnx.IntAttr("align_corners", r.Int64N(2)))
	return c.testCase()
}
