package onnx

// standardAttention: query, key and value [rows, heads, length, size], or [rows, length, heads*size]; the output has the
// query's layout and the value's size. Then keys and values with the past's, and the scores.
func standardAttention(s *site) error {
	q, k, v := s.headed(0, "q_num_heads"), s.headed(1, "kv_num_heads"), s.headed(2, "kv_num_heads")
	out := unknownLike(s.shape(0))
	switch len(out) {
	case 4:
		out = Shape{q[0], q[1], q[2], v[3]}
	case 3:
		out = Shape{q[0], q[2], q[1].number().times(v[3].number()).dim()}
	}
	s.set(0, s.dtype(0), out)
	if past := s.shape(4); s.has(4) {
		k[2] = sumDims(at(past, 2), k[2])
		v[2] = k[2]
	}
	s.set(1, s.dtype(1), k)
	s.set(2, s.dtype(2), v)
	s.set(3, s.dtype(0), Shape{q[0], q[1], q[2], k[2]})
	return nil
}

// headed is the shape of an input once its heads are split: [rows, heads, length, size].
func (s *site) headed(i int, attr string) Shape {
	switch x := s.shape(i); len(x) {
	case 4:
		return append(Shape{}, x...)
	case 3:
		heads := constant(s.Int(attr, 1))
		return Shape{x[0], heads.dim(), x[1], x[2].number().over(heads).dim()}
	}
	return unknown(4)
}

func sumDims(past number, d Dim) Dim { return past.plus(d.number()).dim() }
