package onnx

import (
	"fmt"
	"slices"
)

// depthToSpace: blocks of channels become blocks of the image: [n, c*b*b, h, w] -> [n, c, h*b, w*b].
func depthToSpace(s *site) error {
	return s.blocks(func(x Shape, b number) Shape {
		return Shape{x[0], x[1].number().over(b.times(b)).dim(), x[2].number().times(b).dim(), x[3].number().times(b).dim()}
	})
}

// spaceToDepth: the other way round.
func spaceToDepth(s *site) error {
	return s.blocks(func(x Shape, b number) Shape {
		return Shape{x[0], x[1].number().times(b.times(b)).dim(), x[2].number().over(b).dim(), x[3].number().over(b).dim()}
	})
}

// blocks moves blocks of a four-dimensional image.
func (s *site) blocks(move func(x Shape, size number) Shape) error {
	x, size := s.shape(0), s.Int("blocksize", 0)
	s.set(0, s.dtype(0), unknown(4))
	if size < 1 {
		return fmt.Errorf("blocks of size %d", size)
	}
	if x == nil {
		return nil
	}
	if len(x) != 4 {
		return fmt.Errorf("%v is not an image of four dimensions", x)
	}
	s.set(0, s.dtype(0), move(x, constant(size)))
	return nil
}

// centerCropPad: all axes, or some, get the sizes that a tensor gives.
func centerCropPad(s *site) error {
	x, sizes := s.shape(0), s.numbers(1)
	s.set(0, s.dtype(0), unknownLike(x))
	if x == nil || sizes == nil {
		return nil
	}
	axes := s.Ints("axes")
	if s.Attr("axes") == nil {
		for i := range x {
			axes = append(axes, int64(i))
		}
	}
	if _, err := axesOf(axes, len(x)); err != nil {
		return err
	}
	if len(sizes) != len(axes) {
		return fmt.Errorf("%d sizes for %d axes", len(sizes), len(axes))
	}
	out := slices.Clone(x)
	for i, a := range axes {
		j, _ := axis(a, len(x)) // checked above
		out[j] = sizes[i].dim()
	}
	s.set(0, s.dtype(0), out)
	return nil
}

// compress: as many along an axis, or in all, as a condition holds for.
func compress(s *site) error {
	x := slices.Clone(s.shape(0))
	if s.Attr("axis") == nil {
		s.set(0, s.dtype(0), unknown(1))
		return nil
	}
	if x != nil {
		a, err := axis(s.Int("axis", 0), len(x))
		if err != nil {
			return err
		}
		x[a] = Dim{Size: -1}
	}
	s.set(0, s.dtype(0), x)
	return nil
}

// col2Im: blocks [n, c*b, count] of b elements are laid into images [n, c, ...] whose sizes a tensor gives.
func col2Im(s *site) error {
	x, image, block := s.shape(0), s.numbers(1), s.numbers(2)
	s.set(0, s.dtype(0), nil)
	if image == nil || block == nil || x == nil {
		return nil
	}
	if len(x) != 3 || len(image) != len(block) {
		return fmt.Errorf("blocks %v in images %v", x, image)
	}
	size, out := constant(1), Shape{}
	for i, n := range image {
		size, out = size.times(block[i]), append(out, n.dim())
	}
	s.set(0, s.dtype(0), append(Shape{x[0], x[1].number().over(size).dim()}, out...))
	return nil
}
