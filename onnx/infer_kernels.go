package onnx

// The operators of package kernels, of the domain metalora.

func init() {
	for op, rule := range map[string]shapeRule{
		"Gelu": sameAsFirst, "GeluGrad": likeFirstWithSum, "Mask": likeFirstWithSum, "ColumnSum": columnSum,
		"LayerNormalizationGrad": normGrad, "Gemm": gemmOfKernels,
	} {
		shapeRules[operator{"metalora", op}] = rule
	}
}

// likeFirstWithSum: x [..., n] -> [..., n], and its sum over all dimensions but the last, [n].
func likeFirstWithSum(s *site) error {
	s.set(0, s.dtype(0), s.shape(0))
	s.set(1, s.dtype(0), lastAlone(s.shape(0)))
	return nil
}

// lastAlone is the shape of the last dimension alone.
func lastAlone(x Shape) Shape {
	if len(x) == 0 {
		return unknown(1)
	}
	return Shape{x[len(x)-1]}
}

// columnSum: x [..., n] -> [n].
func columnSum(s *site) error {
	s.set(0, s.dtype(0), lastAlone(s.shape(0)))
	return nil
}

// normGrad: dy, x [..., n], mean, inverse deviation [..., 1], weight [n] -> [..., n], [n], [n].
func normGrad(s *site) error {
	x := s.shape(1)
	s.set(0, s.dtype(1), x)
	s.set(1, s.dtype(1), lastAlone(x))
	s.set(2, s.dtype(1), lastAlone(x))
	return nil
}

// gemmOfKernels: A, B are inputs 1 and 2 -> [m, n].
func gemmOfKernels(s *site) error {
	a, err := s.matrix(1, "transA")
	if err != nil {
		return err
	}
	b, err := s.matrix(2, "transB")
	if err != nil {
		return err
	}
	s.set(0, s.dtype(1), Shape{a[0], b[1]})
	return nil
}
