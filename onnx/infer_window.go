package onnx

import (
	"fmt"
	"slices"
)

// Operators that slide a window over spatial axes: [rows, channels, size of each axis].

// conv: weights [out channels, channels / groups, kernel] make [rows, out channels, windows].
func conv(s *site) error {
	x, weights := s.shape(0), s.shape(1)
	s.set(0, s.dtype(0), unknownLike(x))
	if x == nil && weights == nil {
		return nil
	}
	out, w, err := s.window(x, weights)
	if err != nil || out == nil {
		return err
	}
	if weights != nil {
		out[1] = weights[0]
	}
	for i := range w.Kernel {
		out[i+2] = w.slide(i, at(x, i+2)).dim()
	}
	s.set(0, s.dtype(0), out)
	return nil
}

// convTranspose: weights [channels, out channels / groups, kernel] make [rows, out channels, sizes].
func convTranspose(s *site) error {
	x, weights := s.shape(0), s.shape(1)
	s.set(0, s.dtype(0), unknownLike(x))
	if x == nil && weights == nil {
		return nil
	}
	out, w, err := s.window(x, weights)
	if err != nil || out == nil {
		return err
	}
	if weights != nil {
		out[1] = weights[1].number().times(constant(s.Int("group", 1))).dim()
	}
	extra, err := s.perAxis("output_padding", len(w.Kernel), 0)
	if err != nil {
		return err
	}
	wanted := s.Ints("output_shape")
	for i := range w.Kernel {
		out[i+2] = w.spread(i, at(x, i+2), extra[i]).dim()
		if skip := len(wanted) - len(w.Kernel); skip >= 0 {
			out[i+2] = Dim{Size: max(-1, wanted[skip+i])}
		}
	}
	s.set(0, s.dtype(0), out)
	return nil
}

// window is the window of a convolution and the shape of its output as far as x tells it; nil where nothing does.
func (s *site) window(x, weights Shape) (Shape, Window, error) {
	kernel := s.Ints("kernel_shape")
	if weights != nil {
		if len(weights) < 3 {
			return nil, Window{}, fmt.Errorf("weights of shape %v", weights)
		}
		kernel = sizes(weights[2:])
	} else if kernel == nil {
		kernel = sizes(unknown(max(0, len(x)-2)))
	}
	if x == nil {
		x = unknown(len(kernel) + 2)
	}
	if len(x) != len(kernel)+2 || len(kernel) == 0 {
		return nil, Window{}, fmt.Errorf("a window over %d axes and an input of shape %v", len(kernel), x)
	}
	w, err := NewWindow(s.Node, kernel)
	out := slices.Clone(x)
	out[1] = Dim{Size: -1}
	return out, w, err
}

// sizes are the dimensions as numbers, -1 where one is not known.
func sizes(s Shape) []int64 {
	list := make([]int64, len(s))
	for i, d := range s {
		list[i] = d.Size
	}
	return list
}

// at is dimension i of a shape that may be unknown.
func at(s Shape, i int) number {
	if i >= len(s) {
		return nil
	}
	return s[i].number()
}

// pool: one number for each window; MaxPool also gives where it was.
func pool(s *site) error {
	x := s.shape(0)
	kernel := s.Ints("kernel_shape")
	out := unknown(len(kernel) + 2)
	if x != nil {
		if len(x) != len(kernel)+2 {
			return fmt.Errorf("a window of %d over an input of shape %v", kernel, x)
		}
		out = slices.Clone(x)
	}
	w, err := NewWindow(s.Node, kernel)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(kernel, func(k int64) bool { return k < 1 || k > maxSize }) {
		return fmt.Errorf("a window of %d", kernel)
	}
	for i := range kernel {
		out[i+2] = w.slide(i, at(x, i+2)).dim()
	}
	s.set(0, s.dtype(0), out)
	s.set(1, Int64, out)
	return nil
}

// globalPool: one number for each channel; spatial axes stay with size 1.
func globalPool(s *site) error {
	x := slices.Clone(s.shape(0))
	for i := range x {
		if i >= 2 {
			x[i] = Dim{Size: 1}
		}
	}
	s.set(0, s.dtype(0), x)
	return nil
}

// maxUnpool: the sizes that a MaxPool without overlap would have come from, unless they are given.
func maxUnpool(s *site) error {
	x := s.shape(0)
	s.set(0, s.dtype(0), unknownLike(x))
	if s.has(2) {
		if ns := s.numbers(2); ns != nil {
			s.set(0, s.dtype(0), shapeOf(ns))
		}
		return nil
	}
	kernel := s.Ints("kernel_shape")
	if x == nil {
		return nil
	}
	if len(x) != len(kernel)+2 {
		return fmt.Errorf("a window of %d over an input of shape %v", kernel, x)
	}
	w, err := NewWindow(s.Node, kernel)
	if err != nil {
		return err
	}
	out := slices.Clone(x)
	for i := range kernel {
		out[i+2] = w.spread(i, at(x, i+2), 0).dim()
	}
	s.set(0, s.dtype(0), out)
	return nil
}

func shapeOf(ns []number) Shape {
	shape := Shape{}
	for _, n := range ns {
		shape = append(shape, n.dim())
	}
	return shape
}

// deformConv: weights [out channels, channels / groups, kernel] and offsets [rows, …, height, width] make
// [rows, out channels, height, width].
func deformConv(s *site) error {
	out := unknown(4)
	if weights := s.shape(1); len(weights) == 4 {
		out[1] = weights[0]
	}
	if offset := s.shape(2); len(offset) == 4 {
		out[0], out[2], out[3] = offset[0], offset[2], offset[3]
	}
	s.set(0, s.dtype(0), out)
	return nil
}
