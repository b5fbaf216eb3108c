package onnx

import (
	"fmt"
	"slices"
)

// resize: every axis, or those in the attribute axes, gets a size (input 3), or is scaled by a factor (input 2).
func resize(s *site) error {
	x := s.shape(0)
	s.set(0, s.dtype(0), unknownLike(x))
	if x == nil {
		return nil
	}
	axes := s.Ints("axes")
	if axes == nil {
		for i := range x {
			axes = append(axes, int64(i))
		}
	}
	if _, err := axesOf(axes, len(x)); err != nil {
		return err
	}
	set, err := s.resized(len(axes))
	if err != nil {
		return err
	}
	out := slices.Clone(x)
	for i, a := range axes {
		j, _ := axis(a, len(x))
		out[j] = set(i, x[j]).dim()
	}
	s.set(0, s.dtype(0), out)
	return nil
}

// resized is the new size of the i-th of count resized axes, given the old one.
func (s *site) resized(count int) (func(i int, d Dim) number, error) {
	sizes, scales := s.numbers(3), s.floats[s.Input(2)]
	mode, policy := s.Attr("coordinate_transformation_mode"), s.Attr("keep_aspect_ratio_policy")
	stretches := policy == nil || policy.S == "stretch"
	crops := mode != nil && mode.S == "tf_crop_and_resize"
	switch {
	case sizes != nil && len(sizes) != count, len(sizes) == 0 && len(scales) > 0 && len(scales) != count:
		return nil, fmt.Errorf("%d sizes or %d scales for %d axes", len(sizes), len(scales), count)
	case sizes != nil && stretches:
		return func(i int, _ Dim) number { return sizes[i] }, nil
	case len(scales) == count && !crops && !s.has(3):
		return func(i int, d Dim) number { return scaled(d, scales[i]) }, nil
	}
	return func(int, Dim) number { return nil }, nil
}

// scaled is a size times a factor, rounded down, as the engine computes it in single precision.
func scaled(d Dim, scale float32) number {
	if whole := int64(scale); float32(whole) == scale && whole < maxSize {
		return d.number().times(constant(whole))
	}
	if d.Size < 0 || d.Size > maxSize || !(scale > 0 && scale < maxSize) {
		return nil
	}
	return constant(int64(float32(d.Size) * scale))
}

// gridSample: x [rows, channels, …] read at the points grid [rows, size of each axis, axes].
func gridSample(s *site) error {
	x, grid := s.shape(0), s.shape(1)
	s.set(0, s.dtype(0), unknownLike(x))
	if x == nil || grid == nil {
		return nil
	}
	if len(x) != len(grid) || len(x) < 3 {
		return fmt.Errorf("a grid of shape %v for an input of shape %v", grid, x)
	}
	s.set(0, s.dtype(0), joinShapes(x[:2], grid[1:len(grid)-1]))
	return nil
}

// affineGrid: a matrix for each row [rows, axes, axes + 1] and the size [rows, channels, …] of what the grid is to read
// make [rows, size of each axis, axes].
func affineGrid(s *site) error {
	ns := s.numbers(1)
	if ns == nil {
		s.set(0, s.dtype(0), unknownLike(s.unknownTarget(1)))
		return nil
	}
	if len(ns) < 3 {
		return fmt.Errorf("a size of %d numbers", len(ns))
	}
	size := shapeOf(ns)
	s.set(0, s.dtype(0), joinShapes(size[:1], size[2:], Shape{{Size: int64(len(ns) - 2)}}))
	return nil
}

// roiAlign: x [rows, channels, height, width] cut into boxes [count, 4] makes [count, channels, output_height, output_width].
func roiAlign(s *site) error {
	out := unknown(4)
	if x := s.shape(0); len(x) == 4 {
		out[1] = x[1]
	}
	if boxes := s.shape(1); len(boxes) == 2 {
		out[0] = boxes[0]
	}
	out[2], out[3] = Dim{Size: max(-1, s.Int("output_height", 1))}, Dim{Size: max(-1, s.Int("output_width", 1))}
	s.set(0, s.dtype(0), out)
	return nil
}
