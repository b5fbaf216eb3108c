package onnx

// The operators of package kernels.

// ours is their domain.
const ours = "metalora"

func init() {
	for op, rule := range map[string]shapeRule{
		"Gelu": sameAsFirst, "GeluGrad": likeFirstWithSum, "Mask": likeFirstWithSum, "ColumnSum": columnSum,
		"LayerNormalizationGrad": normGrad, "Gemm": gemmOfKernels, "Attention": fusedAttention, "AttentionGrad": fusedAttentionGrad,
	} {
		shapeRules[operator{ours, op}] = rule
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

// fusedAttention: q [..., n], k, v, mask [rows, 1, any, keys] -> [..., n], and [rows, heads, queries, 2]. Where rows are packed
// there is room for the queries of the longest.
func fusedAttention(s *site) error {
	q, rows, keys := s.shape(0), Dim{Size: -1}, Dim{Size: -1}
	if m := s.shape(3); len(m) == 4 {
		rows, keys = m[0], m[3]
	}
	s.set(0, s.dtype(0), q)
	queries := Dim{Size: -1}
	switch packed := s.Int("packed", 0); {
	case packed == 1:
		queries = keys
	case packed == 2:
		queries = Dim{Size: 1}
	case len(q) > 0:
		queries = q[:len(q)-1].product().over(rows.number()).dim()
	}
	s.set(1, s.dtype(0), Shape{rows, {Size: s.Int("heads", 1)}, queries, {Size: 2}})
	return nil
}

// fusedAttentionGrad: the context's gradient, q, k, v -> the gradients by q, k and v.
func fusedAttentionGrad(s *site) error {
	for i := range 3 {
		s.set(i, s.dtype(i+1), s.shape(i+1))
	}
	return nil
}
