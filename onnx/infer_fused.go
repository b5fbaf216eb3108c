package onnx

// The operators that ONNX Runtime's optimiser puts in the place of many, and those of quantised models.
// See ContribOperators.md of ONNX Runtime.

// skipLayerNorm: the normalised sum of two inputs; output 3 is the sum itself. The statistics between are not computed
// by the engine.
func skipLayerNorm(s *site) error {
	s.set(0, s.dtype(0), s.shape(0))
	s.set(3, s.dtype(0), s.shape(0))
	return nil
}

// embedLayerNorm: ids [rows, length], segment ids, word table [words, hidden], position table, … -> [rows, length,
// hidden], the number of real tokens of each row, and the sum before normalisation.
func embedLayerNorm(s *site) error {
	ids, words := s.shape(0), s.shape(2)
	if len(ids) != 2 || len(words) != 2 {
		s.set(0, s.dtype(2), unknown(3))
		return nil
	}
	out := Shape{ids[0], ids[1], words[1]}
	s.set(0, s.dtype(2), out)
	s.set(1, Int32, Shape{ids[0]})
	s.set(2, s.dtype(2), out)
	return nil
}

// attention: x [rows, length, in], weight [in, 3*hidden], bias [3*hidden] -> [rows, length, hidden]. Output 1, keys and values
// with those of the past, has five dimensions.
func attention(s *site) error {
	x, bias := s.shape(0), s.shape(2)
	out := unknown(3)
	if len(x) == 3 {
		out[0], out[1] = x[0], x[1]
	}
	if sizes := s.Ints("qkv_hidden_sizes"); len(sizes) == 3 {
		out[2] = Dim{Size: max(sizes[2], -1)}
	} else if len(bias) == 1 {
		out[2] = bias[0].number().over(constant(3)).dim()
	}
	s.set(0, s.dtype(0), out)
	s.set(1, s.dtype(0), unknown(5))
	return nil
}

// multiHeadAttention: query [rows, length, hidden], key, value [rows, key length, width] or [rows, heads, key length, size] ->
// [rows, length, width]. Keys and values with those of the past are [rows, heads, keys, size].
func multiHeadAttention(s *site) error {
	out := unknown(3)
	if q := s.shape(0); len(q) == 3 {
		out[0], out[1] = q[0], q[1]
	}
	if v := s.shape(2); len(v) == 3 {
		out[2] = v[2]
	} else if len(v) == 4 {
		out[2] = v[1].number().times(v[3].number()).dim()
	}
	s.set(0, s.dtype(0), out)
	s.set(1, s.dtype(0), unknown(4))
	s.set(2, s.dtype(0), unknown(4))
	return nil
}

// quantize: the zero point decides the type, uint8 by default.
func quantize(s *site) error {
	t := s.dtype(2)
	if t == Undefined {
		t = Uint8
	}
	s.set(0, t, s.shape(0))
	return nil
}

// dequantize: the scale decides the type.
func dequantize(s *site) error {
	s.set(0, s.dtype(1), s.shape(0))
	return nil
}

// dynamicQuantize: the quantised tensor, its scale and its zero point.
func dynamicQuantize(s *site) error {
	s.set(0, Uint8, s.shape(0))
	s.set(1, Float, Shape{})
	s.set(2, Uint8, Shape{})
	return nil
}
