package autodiff

import (
	"math"

	"metalora/onnx"
)

// attention is y = softmax(s)*v with the scores s = scale*q*kᵀ + biases, for q [rows, heads, length, size] and
// k, v [rows, heads, keys, size]. All attention operators are expanded into it.
type attention struct {
	*builder
	q, k, v value
	scale   value
}

// newAttention scales by the attribute scale or by 1/√size.
func newAttention(b *builder, n *onnx.Node, q, k, v value) attention {
	if s := n.Float("scale", 0); s != 0 {
		return attention{b, q, k, v, b.num(float64(s))}
	}
	size := b.cast(b.sizeOf(q, -1), b.dtype)
	return attention{b, q, k, v, b.op("Reciprocal", b.op("Sqrt", size))}
}

func (a attention) scores() value {
	return a.matmul(a.mul(a.q, a.scale), a.transpose(a.k, []int64{0, 1, 3, 2}))
}

// heads splits [rows, length, heads*size] into [rows, heads, length, size], and join leads back.
func (b *builder) heads(x value, count int64) value {
	return b.transpose(b.op("Reshape", x, b.vec(0, 0, count, -1)), []int64{0, 2, 1, 3})
}

func (b *builder) join(x value) value {
	return b.op("Reshape", b.transpose(x, []int64{0, 2, 1, 3}), b.vec(0, 0, -1))
}

// barred is the bias of scores that are not to be seen: so low that their probability is zero. Where all of a row are
// barred, their probabilities are equal.
func (b *builder) barred(seen value) value {
	low := -math.MaxFloat32
	if b.dtype == onnx.Float16 {
		low = -65504
	}
	return b.where(seen, b.num(0), b.num(low))
}

// upTo says which of the keys each query sees that sees all up to its own place, with so many keys before the first
// query.
func (a attention) upTo(before value) value {
	query := a.op("Unsqueeze", a.count(a.sizeOf(a.q, 2)), a.vec(1))
	return a.op("LessOrEqual", a.count(a.sizeOf(a.k, 2)), a.add(query, before))
}

// count is 0, 1, … up to, not including, a size.
func (b *builder) count(size value) value {
	return b.op("Range", b.out.Int(0), b.op("Squeeze", size, b.vec(0)), b.out.Int(1))
}

// standardAttention expands ONNX's Attention: q, k and v of three dimensions, whose heads are split first, or of four; keys
// and values of the past before theirs; a group of query heads for each key head; a soft cap, then a mask or bias.
func standardAttention(b *builder, n *onnx.Node) []value {
	q, k, v := n.Input(0), n.Input(1), n.Input(2)
	packed := b.rank(q) == 3
	if packed {
		q, k, v = b.heads(q, n.Int("q_num_heads", 1)), b.heads(k, n.Int("kv_num_heads", 1)), b.heads(v, n.Int("kv_num_heads", 1))
	}
	before := b.vec(0)
	if past := n.Input(4); past != "" {
		before = b.sizeOf(past, 2)
		k, v = b.after(past, k), b.after(n.Input(5), v)
	}
	a := newAttention(b, n, q, b.repeated(k, q), b.repeated(v, q))
	stages := []value{a.scores()}
	stages = append(stages, a.capped(stages[0], float64(n.Float("softcap", 0))))
	bias, seen := a.masks(n, before)
	s := stages[1]
	for _, m := range bias {
		s = b.add(s, m)
	}
	p := b.with("Softmax", []value{s}, onnx.IntAttr("axis", -1))
	for _, m := range seen {
		p = b.only(m, p) // also in a row that sees nothing
	}
	stages = append(stages, s, p)
	y := b.matmul(p, a.v)
	if packed {
		y = b.join(y)
	}
	return []value{y, k, v, stages[n.Int("qk_matmul_output_mode", 0)]}
}

// after is v behind what is kept of the past, along the length.
func (b *builder) after(past, v value) value {
	return b.with("Concat", []value{past, v}, onnx.IntAttr("axis", 2))
}

// repeated gives k as many heads as q has, each as often as it has queries.
func (b *builder) repeated(k, q value) value {
	heads, size := b.sizeOf(k, 1), b.sizeOf(k, 3)
	group := b.div(b.sizeOf(q, 1), heads)
	rows, keys := b.sizeOf(k, 0), b.sizeOf(k, 2)
	wide := b.op("Expand", b.op("Unsqueeze", k, b.vec(2)), b.concat(rows, heads, group, keys, size))
	return b.op("Reshape", wide, b.concat(rows, b.vec(-1), keys, size))
}

// masks are what is added to the scores, and what says which keys are seen: by the mask, by order, and by how many keys of
// each row are in use. A row of queries then ends with the last of these.
func (a attention) masks(n *onnx.Node, before value) (bias, seen []value) {
	if mask := n.Input(3); mask != "" && a.info[mask].Type == onnx.Bool {
		seen = append(seen, mask)
	} else if mask != "" {
		bias = append(bias, mask)
	}
	if used := n.Input(6); used != "" {
		used = a.op("Unsqueeze", used, a.vec(1, 2, 3))
		seen = append(seen, a.less(a.count(a.sizeOf(a.k, 2)), used))
		before = a.sub(used, a.sizeOf(a.q, 2))
	}
	if n.Int("is_causal", 0) != 0 {
		seen = append(seen, a.upTo(before))
	}
	for _, m := range seen {
		bias = append(bias, a.barred(m))
	}
	return bias, seen
}

// capped keeps scores within ±limit, smoothly.
func (a attention) capped(s value, limit float64) value {
	if limit == 0 {
		return s
	}
	return a.times(a.op("Tanh", a.times(s, 1/limit)), limit)
}
