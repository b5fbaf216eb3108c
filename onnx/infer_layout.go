package onnx

import (
	"fmt"
	"slices"
)

// reshape: the same elements in another shape, given as a tensor: -1 takes what is left, 0 copies the input's dimension
// (unless allowzero says that 0 is 0).
func reshape(s *site) error {
	data, target := s.shape(0), s.numbers(1)
	if s.has(1) && target == nil {
		s.set(0, s.dtype(0), s.unknownTarget(1))
		return nil
	}
	if !s.has(1) {
		target = nil
		for _, i := range s.Ints("shape") { // an attribute before opset 5
			target = append(target, constant(i))
		}
	}
	out, err := reshaped(data, target, s.Int("allowzero", 0) == 0)
	if err != nil {
		return fmt.Errorf("%v to %v: %w", data, target, err)
	}
	s.set(0, s.dtype(0), out)
	s.setNumbers(s.numbers(0))
	return nil
}

// unknownTarget is the shape that an unknown shape tensor describes: its length is the rank.
func (s *site) unknownTarget(i int) Shape {
	if t := s.shape(i); len(t) == 1 && t[0].Size >= 0 {
		return unknown(int(min(t[0].Size, maxRank+1)))
	}
	return nil
}

// reshaped solves for the dimension that is not given. Dimensions of the input that are not known get a symbol each,
// so that one that is copied cancels out.
func reshaped(data Shape, target []number, zeroCopies bool) (Shape, error) {
	from, total := make([]number, len(data)), constant(1)
	for i, d := range data {
		if from[i] = d.number(); from[i] == nil {
			from[i] = number{{1, []string{fmt.Sprintf("\x00%d", i)}}}
		}
		total = total.times(from[i])
	}
	if data == nil {
		from, total = nil, nil
	}
	out, rest, open, err := copied(from, target, zeroCopies)
	if err != nil {
		return nil, err
	}
	if open >= 0 {
		out[open] = total.over(rest)
		t, tok := total.value()
		r, rok := rest.value()
		if tok && rok && r != 0 && t%r != 0 {
			return nil, fmt.Errorf("%d elements do not divide by %d", t, r)
		}
	} else if t, ok := total.value(); ok && rest != nil && rest.differs(constant(t)) {
		return nil, fmt.Errorf("%d elements become %v", t, rest)
	}
	shape := Shape{}
	for _, n := range out {
		if slices.ContainsFunc(n, func(t term) bool { return slices.ContainsFunc(t.symbols, func(s string) bool { return s[0] == 0 }) }) {
			n = nil
		}
		shape = append(shape, n.dim())
	}
	return shape, nil
}

// copied is the target with zeros replaced, the product of all its dimensions but an open one, and the place of the only
// open one: -1, or the only one that is not known. rest is unknown where several are.
func copied(from, target []number, zeroCopies bool) (out []number, rest number, open int, err error) {
	out, rest, open = slices.Clone(target), constant(1), -1
	wild := 0
	for i, t := range target {
		v, ok := t.value()
		switch {
		case ok && v == 0 && zeroCopies:
			if from != nil && i >= len(from) {
				return nil, nil, 0, fmt.Errorf("dimension %d is to be copied, but the input has only %d", i, len(from))
			}
			out[i] = nil
			if from != nil {
				out[i] = from[i]
			}
		case ok && v < -1:
			return nil, nil, 0, fmt.Errorf("dimension %d is %d", i, v)
		case ok && v == -1:
			if wild++; wild > 1 {
				return nil, nil, 0, fmt.Errorf("more than one dimension is -1")
			}
			out[i] = nil
		}
		switch {
		case out[i] != nil:
			rest = rest.times(out[i])
		case open < 0:
			open = i
		default:
			rest = nil
		}
	}
	return out, rest, open, nil
}

// flatten: a matrix whose rows are all dimensions before the axis.
func flatten(s *site) error {
	x := s.shape(0)
	if x == nil {
		s.set(0, s.dtype(0), unknown(2))
		return nil
	}
	a := int64(len(x))
	if i := s.Int("axis", 1); i != a {
		j, err := axis(i, len(x))
		if err != nil {
			return err
		}
		a = int64(j)
	}
	s.set(0, s.dtype(0), Shape{x[:a].product().dim(), x[a:].product().dim()})
	s.setNumbers(s.numbers(0))
	return nil
}

// transpose: dimension i of the result is dimension perm[i]; without perm they are reversed.
func transpose(s *site) error {
	x, perm := s.shape(0), s.Ints("perm")
	if x == nil {
		s.set(0, s.dtype(0), nil)
		return nil
	}
	out := slices.Clone(x)
	if s.Attr("perm") == nil {
		slices.Reverse(out)
	} else {
		set, err := axesOf(perm, len(x))
		if err != nil || len(set) != len(x) {
			return fmt.Errorf("perm %v does not permute the dimensions of %v", perm, x)
		}
		for i, p := range perm {
			j, _ := axis(p, len(x)) // checked above
			out[i] = x[j]
		}
	}
	s.set(0, s.dtype(0), out)
	if len(x) < 2 {
		s.setNumbers(s.numbers(0))
	}
	return nil
}

// squeeze: without the given axes, which must be 1; without a list, without all that are 1.
func squeeze(s *site) error {
	x := s.shape(0)
	list, given, known := s.list("axes", 1)
	s.set(0, s.dtype(0), nil)
	if x == nil || !known {
		return nil
	}
	drop, err := axesOf(list, len(x))
	if err != nil {
		return err
	}
	out := Shape{}
	for i, d := range x {
		switch {
		case !given && d.Size < 0:
			return nil // it may be 1, so not even the rank is known
		case !given && d.Size == 1, drop[i] && (d.Size == 1 || d.Size < 0):
		case drop[i]:
			return fmt.Errorf("dimension %d of %v is not 1", i, x)
		default:
			out = append(out, d)
		}
	}
	s.set(0, s.dtype(0), out)
	s.setNumbers(s.numbers(0))
	return nil
}

// unsqueeze: dimensions of 1 at the given axes of the result.
func unsqueeze(s *site) error {
	x := s.shape(0)
	list, _, known := s.list("axes", 1)
	s.set(0, s.dtype(0), nil)
	if x == nil || !known || len(list) > maxRank {
		return nil
	}
	insert, err := axesOf(list, len(x)+len(list))
	if err != nil {
		return err
	}
	out := Shape{}
	for i := range len(x) + len(list) {
		if insert[i] {
			out = append(out, Dim{Size: 1})
		} else {
			out = append(out, x[0])
			x = x[1:]
		}
	}
	s.set(0, s.dtype(0), out)
	s.setNumbers(s.numbers(0))
	return nil
}

// expand: the input broadcast against a shape that is given as a tensor.
func expand(s *site) error {
	var target Shape
	if numbers := s.numbers(1); numbers != nil {
		target = Shape{}
		for _, n := range numbers {
			target = append(target, n.dim())
		}
	} else {
		target = s.unknownTarget(1)
	}
	out, err := broadcast(s.shape(0), target)
	if err != nil {
		return err
	}
	s.set(0, s.dtype(0), out)
	s.repeatNumber(s.numbers(0))
	return nil
}

// repeatNumber fills output 0 with one known element.
func (s *site) repeatNumber(ns []number) {
	n, ok := s.Values[s.Output(0)].Shape.product().value()
	if len(ns) == 1 && ok && n <= maxInts {
		s.setNumbers(slices.Repeat(ns, int(n)))
	}
}

// tile: every dimension repeated.
func tile(s *site) error {
	x, repeats := s.shape(0), s.numbers(1)
	if x == nil || repeats == nil {
		s.set(0, s.dtype(0), unknownLike(x))
		return nil
	}
	if len(repeats) != len(x) {
		return fmt.Errorf("%d repeats for a tensor of rank %d", len(repeats), len(x))
	}
	out := Shape{}
	for i, d := range x {
		out = append(out, d.number().times(repeats[i]).dim())
	}
	s.set(0, s.dtype(0), out)
	s.repeatNumber(s.numbers(0))
	return nil
}

// unknownLike has the rank of a shape and nothing more.
func unknownLike(s Shape) Shape {
	if s == nil {
		return nil
	}
	return unknown(len(s))
}

// pad: every axis, or those listed in input 3, grows at both ends; negative pads crop.
func pad(s *site) error {
	x := s.shape(0)
	s.set(0, s.dtype(0), unknownLike(x))
	pads := s.numbers(1)
	for _, i := range s.Ints("pads") { // an attribute before opset 11
		pads = append(pads, constant(i))
	}
	axes, known := s.optionalInts(3)
	if x == nil || pads == nil || !known {
		return nil
	}
	if axes == nil {
		for i := range x {
			axes = append(axes, int64(i))
		}
	}
	if _, err := axesOf(axes, len(x)); err != nil {
		return err
	}
	if len(pads) != 2*len(axes) {
		return fmt.Errorf("%d pads for %d axes", len(pads), len(axes))
	}
	out := slices.Clone(x)
	for i, a := range axes {
		j, _ := axis(a, len(x)) // checked above
		out[j] = x[j].number().plus(pads[i]).plus(pads[i+len(axes)]).dim()
	}
	s.set(0, s.dtype(0), out)
	return nil
}
