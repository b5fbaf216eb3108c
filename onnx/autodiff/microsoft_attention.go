package autodiff

import "metalora/onnx"

// ONNX Runtime's own attention operators. Their masks hold 1 where a key is to be seen; what is not gets the attribute
// mask_filter_value added to its score.

// fusedAttention expands the operator whose one weight [in, q+k+v] makes queries, keys and values of x.
func fusedAttention(b *builder, n *onnx.Node) []value {
	qkv := b.matmul(n.Input(0), n.Input(1))
	if bias := n.Input(2); bias != "" {
		qkv = b.add(qkv, bias)
	}
	count := n.Int("num_heads", 1)
	var parts []value
	if sizes := n.Ints("qkv_hidden_sizes"); sizes != nil {
		parts = b.out.Node("", "Split", []value{qkv, b.vec(sizes...)}, 3, onnx.IntAttr("axis", 2))
	} else {
		third := b.div(b.sizeOf(n.Input(1), 1), b.vec(3))
		parts = b.out.Node("", "Split", []value{qkv, b.concat(third, third, third)}, 3, onnx.IntAttr("axis", 2))
	}
	k, v, before := b.heads(parts[1], count), b.heads(parts[2], count), b.vec(0)
	if past := n.Input(4); past != "" {
		before = b.sizeOf(past, 3)
		half := func(i int64) value { return b.op("Gather", past, b.out.Int(i)) }
		k, v = b.after(half(0), k), b.after(half(1), v)
	}
	y := newAttention(b, n, b.heads(parts[0], count), k, v).filtered(n, n.Input(3), n.Input(5), before)
	if n.Output(1) == "" {
		return []value{y}
	}
	return []value{y, b.with("Concat", []value{b.op("Unsqueeze", k, b.vec(0)), b.op("Unsqueeze", v, b.vec(0))}, onnx.IntAttr("axis", 0))}
}

// multiHead expands the operator that is given queries, keys and values, each [rows, length, heads*size].
func multiHead(b *builder, n *onnx.Node) []value {
	count := n.Int("num_heads", 1)
	qkv := [3]value{n.Input(0), n.Input(1), n.Input(2)}
	if bias := n.Input(3); bias != "" {
		ends := []value{b.vec(0), b.sizeOf(qkv[0], 2)}
		ends = append(ends, b.add(ends[1], b.sizeOf(qkv[1], -1)), b.sizeOf(bias, 0))
		if b.rank(qkv[1]) == 4 { // keys that were split into heads before
			ends[2] = b.add(ends[1], ends[1])
		}
		for i := range qkv {
			if b.rank(qkv[i]) == 3 {
				qkv[i] = b.add(qkv[i], b.op("Slice", bias, ends[i], ends[i+1]))
			}
		}
	}
	for i, input := range n.Inputs[:3] {
		if b.rank(input) == 3 {
			qkv[i] = b.heads(qkv[i], count)
		}
	}
	q, k, v, before := qkv[0], qkv[1], qkv[2], b.vec(0)
	if past := n.Input(6); past != "" {
		before = b.sizeOf(past, 2)
		k, v = b.after(past, k), b.after(n.Input(7), v)
	}
	return []value{newAttention(b, n, q, k, v).filtered(n, n.Input(4), n.Input(5), before), k, v}
}

// filtered is the output [rows, length, heads*size], given a mask of integers and a bias, or neither. In order, a query
// sees no key behind its own, but the last query sees all.
func (a attention) filtered(n *onnx.Node, mask, bias, before value) value {
	s, low := a.scores(), float64(n.Float("mask_filter_value", -10000))
	if mask != "" {
		s = a.add(s, a.where(a.seen(mask), a.num(0), a.num(low)))
	}
	if n.Int("unidirectional", 0) != 0 {
		length := a.sizeOf(a.q, 2)
		last := a.op("Unsqueeze", a.equal(a.count(length), a.sub(length, a.vec(1))), a.vec(1))
		s = a.add(s, a.barred(a.op("Or", a.upTo(before), last)))
	}
	if bias != "" {
		s = a.add(s, bias)
	}
	return a.builder.join(a.matmul(a.with("Softmax", []value{s}, onnx.IntAttr("axis", -1)), a.v))
}

// seen says which keys are seen, in the shape of the scores: of a mask [rows, keys] or
// [rows, length, keys], or of the place behind the last of each row's keys, [rows], and perhaps of the first, [2*rows].
func (a attention) seen(mask value) value {
	zero := a.out.Const(&onnx.Tensor{Type: onnx.Int32, Raw: make([]byte, 4)})
	switch a.rank(mask) {
	case 1:
		rows, key := a.sizeOf(a.q, 0), a.count(a.sizeOf(a.k, 2))
		bounds := a.op("Unsqueeze", a.cast(mask, onnx.Int64), a.vec(1, 2, 3))
		ends := a.op("Slice", bounds, a.vec(0), rows)
		starts := a.op("Slice", a.concat(bounds, a.mul(ends, a.vec(0))), rows, a.add(rows, rows))
		return a.op("And", a.less(key, ends), a.op("GreaterOrEqual", key, starts))
	case 2:
		mask = a.op("Unsqueeze", mask, a.vec(1, 2))
	case 3:
		mask = a.op("Unsqueeze", mask, a.vec(1))
	}
	return a.greater(mask, zero)
}

// bounds reports whether a mask of so many numbers may have one or two for each row of x.
func bounds(mask onnx.Dim, x onnx.Shape) bool {
	return len(x) == 0 || mask.Size < 0 || x[0].Size < 0 || mask.Size == x[0].Size || mask.Size == 2*x[0].Size
}

// attendsOtherwise finds an attention in a form that has no expansion.
func attendsOtherwise(b *builder, n *onnx.Node) string {
	mask := 3
	if n.Op == "MultiHeadAttention" {
		mask = 4
		for i := range 3 {
			if n.Input(i) == "" || b.rank(n.Input(i)) == 5 || b.rank(n.Input(0)) > 3 {
				return "there is no rule for queries, keys and values packed into one input"
			}
		}
	}
	why := rankUnknown(0, 1, 2)(b, n)
	switch shape := b.info[n.Input(mask)].Shape; {
	case n.Op == "Attention" && n.Input(2) == "":
		why = rankUnknown(0, 1)(b, n)
	case n.Input(mask) != "" && shape == nil:
		return rankUnknown(mask)(b, n)
	case len(shape) == 1 && !bounds(shape[0], b.info[n.Input(0)].Shape):
		return "there is no rule for a mask of more than two numbers for each row"
	case n.Input(mask) != "" && len(shape) == 4:
		return "there is no rule for a mask of four dimensions"
	}
	if n.Int("do_rotary", 0) != 0 {
		return "there is no rule for do_rotary"
	}
	if n.Int("past_present_share_buffer", 0) != 0 {
		return "there is no rule for past_present_share_buffer"
	}
	return why
}
