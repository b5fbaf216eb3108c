package onnx

import (
	"fmt"
	"slices"
)

// reduce: one element for all along the axes (an attribute, in newer operator sets input 1), which stay as 1 or vanish.
func reduce(s *site) error {
	x, keep := s.shape(0), s.Int("keepdims", 1) != 0
	list, _, known := s.list("axes", 1)
	if len(list) == 0 && known && s.Int("noop_with_empty_axes", 0) != 0 {
		s.set(0, s.dtype(0), x)
		return nil
	}
	all := len(list) == 0
	if !known || x == nil {
		out := Shape(nil)
		if keep {
			out = unknownLike(x)
		} else if all && known {
			out = Shape{}
		}
		s.set(0, s.dtype(0), out)
		return nil
	}
	axes, err := axesOf(list, len(x))
	if err != nil {
		return err
	}
	out := Shape{}
	for i, d := range x {
		if !all && !axes[i] {
			out = append(out, d)
		} else if keep {
			out = append(out, Dim{Size: 1})
		}
	}
	s.set(0, s.dtype(0), out)
	s.reduceNumbers(len(x))
	return nil
}

// reduceNumbers follows the two reductions that exporters compute sizes with, of a vector.
func (s *site) reduceNumbers(rank int) {
	ns := s.numbers(0)
	if rank != 1 || ns == nil || s.Op != "ReduceProd" && s.Op != "ReduceSum" {
		return
	}
	total := constant(0)
	if s.Op == "ReduceProd" {
		total = constant(1)
	}
	for _, n := range ns {
		if s.Op == "ReduceProd" {
			total = total.times(n)
		} else {
			total = total.plus(n)
		}
	}
	s.setNumbers([]number{total})
}

// argMax: the index of the greatest (least) along one axis.
func argMax(s *site) error {
	x := slices.Clone(s.shape(0))
	s.set(0, Int64, nil)
	if x == nil {
		return nil
	}
	a, err := axis(s.Int("axis", 0), len(x))
	if err != nil {
		return err
	}
	if s.Int("keepdims", 1) != 0 {
		x[a] = Dim{Size: 1}
	} else {
		x = slices.Delete(x, a, a+1)
	}
	s.set(0, Int64, x)
	return nil
}

// layerNorm: y as x; then mean and inverse deviation over the dimensions from the axis on, which become 1.
func layerNorm(s *site) error {
	x := s.shape(0)
	s.set(0, s.dtype(0), x)
	s.set(1, Float, nil)
	s.set(2, Float, nil)
	if x == nil {
		return nil
	}
	a, err := axis(s.Int("axis", -1), len(x))
	if err != nil {
		return err
	}
	for i := 1; i < len(s.Inputs); i++ {
		both, err := broadcast(x[a:], s.shape(i))
		if err != nil || len(both) > len(x)-a {
			return fmt.Errorf("%q of shape %v does not fit the normalised dimensions of %v", s.Input(i), s.shape(i), x)
		}
	}
	statistics := slices.Clone(x)
	for i := a; i < len(x); i++ {
		statistics[i] = Dim{Size: 1}
	}
	s.set(1, Float, statistics)
	s.set(2, Float, statistics)
	return nil
}
