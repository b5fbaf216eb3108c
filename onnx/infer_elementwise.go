package onnx

import "fmt"

// sameAsFirst: y has the type and shape of the first input. Further outputs stay unknown.
func sameAsFirst(s *site) error {
	s.set(0, s.dtype(0), s.shape(0))
	return nil
}

// likeFirst: as the first input, but for a type in the attribute dtype.
func likeFirst(s *site) error {
	s.set(0, DType(s.Int("dtype", int64(s.dtype(0)))), s.shape(0))
	return nil
}

// identity: y = x, known elements included.
func identity(s *site) error {
	s.set(0, s.dtype(0), s.shape(0))
	s.setNumbers(s.numbers(0))
	return nil
}

// negate: y = -x.
func negate(s *site) error {
	s.set(0, s.dtype(0), s.shape(0))
	s.setNumbers(each(s.numbers(0), func(n number) number { return n.times(constant(-1)) }))
	return nil
}

// truth: a condition on each element.
func truth(s *site) error {
	s.set(0, Bool, s.shape(0))
	if s.Op == "Not" {
		s.setNumbers(each(s.numbers(0), func(n number) number { return constant(1).minus(n) }))
	}
	return nil
}

// cast: the type of the attribute to, or of the second input. Integers keep their known values.
func cast(s *site) error {
	to := s.dtype(1)
	if s.Op == "Cast" {
		to = DType(s.Int("to", 0))
	}
	s.set(0, to, s.shape(0))
	s.setNumbers(each(s.numbers(0), func(n number) number {
		if v, ok := n.value(); to == Bool && ok {
			return truthNumber(v != 0)
		} else if v, ok := n.value(); to == Int32 && ok {
			return constant(int64(int32(v)))
		}
		return n
	}))
	return nil
}

// dropout: y as x, and the mask.
func dropout(s *site) error {
	s.set(0, s.dtype(0), s.shape(0))
	s.set(1, Bool, s.shape(0))
	return nil
}

// pow: the base decides the type.
func pow(s *site) error {
	shape, err := broadcast(s.shape(0), s.shape(1))
	s.set(0, s.dtype(0), shape)
	return err
}

// arithmetic: all inputs of one type, broadcast against each other.
func arithmetic(s *site) error {
	if err := s.oneType(0, len(s.Inputs)); err != nil {
		return err
	}
	shape, err := s.broadcastAll()
	if err != nil {
		return err
	}
	s.set(0, s.dtype(0), shape)
	if f, ok := integerArithmetic[s.Op]; ok && len(s.Inputs) == 2 {
		s.setNumbers(zip(s.numbers(0), s.numbers(1), f))
	}
	return nil
}

// integerArithmetic is what is known of a result whose operands are partly known.
var integerArithmetic = map[string]func(a, b number) number{
	"Add": number.plus,
	"Sub": number.minus,
	"Mul": number.times,
	"Div": number.over,
	"Mod": func(a, b number) number {
		if q := a.over(b); a.natural() && b.natural() {
			return a.minus(q.times(b))
		}
		return nil // the sign depends on an attribute
	},
	"Max": func(a, b number) number { return pick(a, b, func(d int64) bool { return d >= 0 }) },
	"Min": func(a, b number) number { return pick(a, b, func(d int64) bool { return d <= 0 }) },
}

// pick is a where the test holds for a-b, else b; unknown where the difference is.
func pick(a, b number, test func(int64) bool) number {
	d, ok := a.minus(b).value()
	switch {
	case !ok:
		return nil
	case test(d):
		return a
	}
	return b
}

// compare: a condition on two tensors of one type.
func compare(s *site) error {
	if err := s.oneType(0, len(s.Inputs)); err != nil {
		return err
	}
	shape, err := s.broadcastAll()
	if err != nil {
		return err
	}
	s.set(0, Bool, shape)
	if s.Op == "Equal" {
		s.setNumbers(zip(s.numbers(0), s.numbers(1), func(a, b number) number {
			if a.equal(b) || a.differs(b) {
				return truthNumber(a.equal(b))
			}
			return nil
		}))
	}
	return nil
}

// logic: two conditions into one.
func logic(s *site) error {
	shape, err := s.broadcastAll()
	s.set(0, Bool, shape)
	return err
}

// where: y = a where the condition holds, else b.
func where(s *site) error {
	if err := s.oneType(1, 3); err != nil {
		return err
	}
	shape, err := s.broadcastAll()
	if err != nil {
		return err
	}
	s.set(0, s.dtype(1), shape)
	// With the condition c as 0 or 1: c*a + (1-c)*b, unknown where c is.
	c, a, b := s.numbers(0), s.numbers(1), s.numbers(2)
	n := max(len(c), len(a), len(b))
	if !stretches(c, n) || !stretches(a, n) || !stretches(b, n) {
		return nil
	}
	chosen := make([]number, n)
	for i := range chosen {
		switch v, ok := c[i%len(c)].value(); {
		case ok && v != 0:
			chosen[i] = a[i%len(a)]
		case ok:
			chosen[i] = b[i%len(b)]
		}
	}
	s.setNumbers(chosen)
	return nil
}

func truthNumber(b bool) number {
	if b {
		return constant(1)
	}
	return constant(0)
}

// stretches reports whether elements are known and can stand for n of them.
func stretches(ns []number, n int) bool { return len(ns) > 0 && (len(ns) == n || len(ns) == 1) }

// each applies f to all elements.
func each(ns []number, f func(number) number) []number {
	if ns == nil {
		return nil
	}
	out := make([]number, len(ns))
	for i, n := range ns {
		if n != nil {
			out[i] = f(n)
		}
	}
	return out
}

// zip applies f to the elements of two tensors of equal shape, or of which one has a single element.
// Any other broadcast gives a tensor of more elements than either, which setNumbers forgets.
func zip(a, b []number, f func(a, b number) number) []number {
	n := max(len(a), len(b))
	if !stretches(a, n) || !stretches(b, n) {
		return nil
	}
	out := make([]number, n)
	for i := range out {
		out[i] = f(a[i%len(a)], b[i%len(b)])
	}
	return out
}

// oneType refuses inputs from..to of different types.
func (s *site) oneType(from, to int) error {
	for i := from + 1; i < to; i++ {
		if a, b := s.dtype(from), s.dtype(i); a != b && a != Undefined && b != Undefined {
			return fmt.Errorf("%q is %v, but %q is %v", s.Input(from), a, s.Input(i), b)
		}
	}
	return nil
}

// broadcastAll is the shape of all inputs broadcast against each other.
func (s *site) broadcastAll() (Shape, error) {
	shape := Shape{}
	for i, name := range s.Inputs {
		var err error
		if shape, err = broadcast(shape, s.shape(i)); err != nil {
			return nil, fmt.Errorf("input %q: %w", name, err)
		}
	}
	return shape, nil
}

// broadcast is the shape of an elementwise result: shapes are aligned at their last dimension, and a dimension of 1 is
// repeated.
func broadcast(a, b Shape) (Shape, error) {
	if a == nil || b == nil {
		return nil, nil
	}
	if len(a) < len(b) {
		a, b = b, a
	}
	out := append(Shape{}, a...)
	shift := len(a) - len(b)
	for i, d := range b {
		both, ok := broadcastDim(a[shift+i], d)
		if !ok {
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
		out[shift+i] = both
	}
	return out, nil
}

// broadcastDim: a size beyond 1 wins, since anything beside it must be 1 or the same. Two different symbols give
// nothing: either may be 1.
func broadcastDim(a, b Dim) (Dim, bool) {
	switch {
	case a == b || b.Size == 1:
		return a, true
	case a.Size == 1:
		return b, true
	case a.Size >= 0 && b.Size >= 0:
		return Dim{}, false
	case a.Size >= 0:
		return a, true
	case b.Size >= 0:
		return b, true
	}
	return Dim{Size: -1}, true
}

// sameDim is what is known of a dimension that two tensors must share.
func sameDim(a, b Dim) (Dim, bool) {
	switch {
	case a.Size >= 0 && b.Size >= 0:
		return a, a.Size == b.Size
	case a.Size >= 0 || b.Size < 0 && a.Name != "":
		return a, true
	}
	return b, true
}
