package autodiff

import "metalora/onnx"

// groupQuery expands ONNX Runtime's attention of decoders, in which each key head serves a group of query heads: query, key and
// value [rows, length, heads*size], or one input that has all three. A query sees no key behind its own, none of its row's
// that seqlens_k, the place of the last, leaves out, and with a window no more than so many.
func groupQuery(b *builder, n *onnx.Node) []value {
	heads, kv := n.Int("num_heads", 1), n.Int("kv_num_heads", 1)
	q, k, v := n.Input(0), n.Input(1), n.Input(2)
	if k == "" {
		size := b.div(b.sizeOf(q, 2), b.vec(heads+2*kv))
		sizes := b.concat(b.mul(size, b.vec(heads)), b.mul(size, b.vec(kv)), b.mul(size, b.vec(kv)))
		parts := b.out.Node("", "Split", []value{q, sizes}, 3, onnx.IntAttr("axis", 2))
		q, k, v = parts[0], parts[1], parts[2]
	}
	q, k, v = b.heads(q, heads), b.heads(k, kv), b.heads(v, kv)
	a := newAttention(b, n, q, b.repeated(k, q), b.repeated(v, q))
	s := a.capped(a.scores(), float64(n.Float("softcap", 0)))
	seen := a.upTo(b.vec(0))
	key := b.count(b.sizeOf(k, 2))
	if window := n.Int("local_window_size", -1); window > 0 {
		first := b.sub(b.op("Unsqueeze", b.count(b.sizeOf(q, 2)), b.vec(1)), b.vec(window))
		seen = b.op("And", seen, b.greater(key, first))
	}
	used := b.op("Unsqueeze", b.cast(n.Input(5), onnx.Int64), b.vec(1, 2, 3))
	seen = b.op("And", seen, b.op("Not", b.greater(key, used)))
	s = b.add(s, b.barred(seen))
	y := b.matmul(b.with("Softmax", []value{s}, onnx.IntAttr("axis", -1)), a.v)
	return []value{b.join(y), k, v}
}

// groupsOtherwise finds a GroupQueryAttention in a form that has no expansion.
func groupsOtherwise(b *builder, n *onnx.Node) string {
	for i, name := range map[int]string{3: "past_key", 4: "past_value", 7: "cos_cache", 8: "sin_cache", 9: "position_ids", 10: "attention_bias", 11: "head_sink"} {
		if n.Input(i) != "" {
			return "there is no rule for the input " + name
		}
	}
	for _, name := range []string{"do_rotary", "smooth_softmax", "qk_output"} {
		if n.Int(name, 0) > 0 {
			return "there is no rule for " + name
		}
	}
	return rankUnknown(0)(b, n)
}
