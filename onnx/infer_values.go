package onnx

import (
	"fmt"
	"math"
)

// constantNode: the tensor, number or list in the node's attribute.
func constantNode(s *site) error {
	t := s.constantTensor()
	if t == nil {
		return fmt.Errorf("it has no value")
	}
	if name := s.Output(0); name != "" {
		s.constant(name, t)
	}
	return nil
}

// constantTensor is a Constant node's attribute as a tensor, nil where there is none.
func (n *Node) constantTensor() *Tensor {
	for _, a := range n.Attrs {
		switch a.Name {
		case "value":
			return a.T
		case "value_int":
			return Int64s(nil, a.I)
		case "value_ints":
			return Int64s([]int64{int64(len(a.Ints))}, a.Ints...)
		case "value_float":
			return Floats(nil, a.F)
		case "value_floats":
			return Floats([]int64{int64(len(a.Floats))}, a.Floats...)
		}
	}
	return nil
}

// constantOfShape: one value, float 0 by default, in a shape that is given as a tensor.
func constantOfShape(s *site) error {
	value := Floats([]int64{1}, 0)
	if a := s.Attr("value"); a != nil && a.T != nil {
		value = a.T
	}
	shape := s.unknownTarget(0)
	if ns := s.numbers(0); ns != nil {
		shape = Shape{}
		for _, n := range ns {
			shape = append(shape, n.dim())
		}
	}
	s.set(0, value.Type, shape)
	if len(value.Raw) <= 8 {
		s.repeatNumber(value.ints())
	}
	return nil
}

// rangeNode: from start in steps of delta up to, not including, limit.
func rangeNode(s *site) error {
	if err := s.oneType(0, 3); err != nil {
		return err
	}
	s.set(0, s.dtype(0), unknown(1))
	start, limit, delta := s.scalarNumber(0), s.scalarNumber(1), s.scalarNumber(2)
	if delta.is(1) {
		s.set(0, s.dtype(0), Shape{limit.minus(start).dim()})
	}
	from, a := start.value()
	to, b := limit.value()
	step, c := delta.value()
	if !a || !b || !c {
		return nil
	}
	if step == 0 {
		return fmt.Errorf("a step of 0")
	}
	const far = math.MaxInt64 / 4
	if max(from, to) > far || min(from, to) < -far {
		return nil
	}
	n := stepsBetween(from, to, step)
	s.set(0, s.dtype(0), Shape{{Size: n}})
	if n <= maxInts {
		ns := []number{}
		for i := range n {
			ns = append(ns, constant(from+i*step))
		}
		s.setNumbers(ns)
	}
	return nil
}

// scalarNumber is the only element of an integer input.
func (s *site) scalarNumber(i int) number {
	if ns := s.numbers(i); len(ns) == 1 {
		return ns[0]
	}
	return nil
}

// shapeNode: the input's shape, or the part of it from start to end.
func shapeNode(s *site) error {
	x := s.shape(0)
	if x == nil {
		s.set(0, Int64, unknown(1))
		return nil
	}
	rank := int64(len(x))
	first, last := sliceBounds(rank, s.Int("start", 0), s.Int("end", rank), 1)
	ns := []number{}
	for i := first; i < last; i++ {
		ns = append(ns, x[i].number())
	}
	s.set(0, Int64, Shape{{Size: int64(len(ns))}})
	s.setNumbers(ns)
	return nil
}

// sizeNode: the number of the input's elements.
func sizeNode(s *site) error {
	s.set(0, Int64, Shape{})
	s.setNumbers([]number{s.shape(0).product()})
	return nil
}
