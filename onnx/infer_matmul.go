package onnx

import "fmt"

// matMul: [.., m, k] x [.., k, n] -> [.., m, n] with broadcast outer dimensions; a vector is a row on the left and a
// column on the right. FusedMatMul can transpose either matrix first.
func matMul(s *site) error {
	t := s.dtype(0)
	if s.Op == "MatMulInteger" {
		t = Int32
	} else if err := s.oneType(0, 2); err != nil {
		return err
	}
	s.set(0, t, nil)
	a, b := s.shape(0), s.shape(1)
	if a == nil || b == nil || s.Int("transBatchA", 0) != 0 || s.Int("transBatchB", 0) != 0 {
		return nil
	}
	if len(a) == 0 || len(b) == 0 {
		return fmt.Errorf("%v x %v: a scalar is no matrix", a, b)
	}
	vectorA, vectorB := len(a) == 1, len(b) == 1
	a = asMatrix(a, Shape{{Size: 1}, a[0]}, s.Int("transA", 0) != 0)
	b = asMatrix(b, Shape{b[0], {Size: 1}}, s.Int("transB", 0) != 0)
	i, j := len(a)-2, len(b)-2
	if _, ok := sameDim(a[i+1], b[j]); !ok {
		return fmt.Errorf("%v x %v: the inner dimensions %v and %v differ", s.shape(0), s.shape(1), a[i+1], b[j])
	}
	out, err := broadcast(a[:i], b[:j])
	if err != nil {
		return err
	}
	if !vectorA {
		out = append(out, a[i])
	}
	if !vectorB {
		out = append(out, b[j+1])
	}
	s.set(0, t, out)
	return nil
}

// asMatrix is a factor's shape as it is multiplied: a vector as a row or column, matrices perhaps transposed.
func asMatrix(s, vector Shape, transposed bool) Shape {
	if len(s) == 1 {
		return vector
	}
	if transposed {
		return swapLast(s)
	}
	return s
}

func swapLast(s Shape) Shape {
	s = append(Shape{}, s...)
	n := len(s)
	s[n-1], s[n-2] = s[n-2], s[n-1]
	return s
}

// gemm: alpha*A*B + beta*C, where A and B are matrices that may be transposed first and C is broadcast to the product.
func gemm(s *site) error {
	if err := s.oneType(0, len(s.Inputs)); err != nil {
		return err
	}
	a, err := s.matrix(0, "transA")
	if err != nil {
		return err
	}
	b, err := s.matrix(1, "transB")
	if err != nil {
		return err
	}
	if _, ok := sameDim(a[1], b[0]); !ok {
		return fmt.Errorf("%v x %v: the inner dimensions %v and %v differ", s.shape(0), s.shape(1), a[1], b[0])
	}
	out := Shape{a[0], b[1]}
	s.set(0, s.dtype(0), out)
	if c := s.shape(2); c != nil {
		if both, err := broadcast(out, c); err != nil || len(both) > 2 {
			return fmt.Errorf("%v does not broadcast to the product's %v", c, out)
		}
	}
	return nil
}

// matrix is the shape of a matrix after its transposition.
func (s *site) matrix(i int, trans string) (Shape, error) {
	m := s.shape(i)
	if m == nil {
		return unknown(2), nil
	}
	if len(m) != 2 {
		return nil, fmt.Errorf("%q of shape %v is not a matrix", s.Input(i), m)
	}
	if s.Int(trans, 0) != 0 {
		return swapLast(m), nil
	}
	return m, nil
}
