package autodiff

import (
	"fmt"
	"math/rand/v2"

	"metalora/onnx"
)

var attentionDraws = map[op]generator{
	{"", "Attention"}:                 since(23, drawAttention.inFloat()),
	{"", "RotaryEmbedding"}:           since(23, drawRotary.inFloat()),
	{microsoft, "RotaryEmbedding"}:    always(drawFusedRotary.inFloat()),
	{microsoft, "Attention"}:          always(drawFusedAttention.inFloat()),
	{microsoft, "MultiHeadAttention"}: always(drawMultiHead.inFloat()),
}

// recipe puts a node together input by input: those of float type become inputs of the case, others constants.
type recipe struct {
	domain, op string
	inputs     []input
	wiring     []func(b *onnx.Builder, in []string) string // how each of the node's inputs is had
	attrs      []onnx.Attr
	outputs    int
	output     int // that is differentiated
	note       string
	sized      bool
}

// take adds a float input.
func (c *recipe) take(v values, shape ...int) {
	i := len(c.inputs)
	c.inputs = append(c.inputs, input{shape, v})
	c.wiring = append(c.wiring, func(_ *onnx.Builder, in []string) string { return in[i] })
	c.note += fmt.Sprint(shape)
}

// leave skips an optional input.
func (c *recipe) leave() {
	c.wiring = append(c.wiring, func(*onnx.Builder, []string) string { return "" })
	c.note += "[-]"
}

// fix adds a constant input.
func (c *recipe) fix(t *onnx.Tensor) {
	c.wiring = append(c.wiring, func(b *onnx.Builder, _ []string) string { copied := *t; return b.Const(&copied) })
	c.note += fmt.Sprintf("%v%v", t.Type, t.Dims)
}

func (c *recipe) attr(a ...onnx.Attr) { c.attrs = append(c.attrs, a...) }

func (c *recipe) testCase() testCase {
	drawn := nodeOf(c.domain, c.op, c.attrs, c.inputs...)
	drawn.sized = c.sized
	drawn.name = fmt.Sprintf("%s output %d %s", c.note, c.output, drawn.name)
	drawn.build = func(b *onnx.Builder, in []string) string {
		var inputs []string
		for _, wire := range c.wiring {
			inputs = append(inputs, wire(b, in))
		}
		return b.Node(c.domain, c.op, inputs, max(1, c.outputs), c.attrs...)[c.output]
	}
	return drawn
}

// int32s is a tensor of that type.
func int32s(shape []int, values ...int) *onnx.Tensor {
	t := &onnx.Tensor{Type: onnx.Int32, Dims: wide(shape)}
	for _, v := range values {
		t.Raw = append(t.Raw, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	return t
}

// seenKeys is a mask that bars some keys, never the first.
func seenKeys(r *rand.Rand, shape ...int) *onnx.Tensor {
	seen := make([]int, elements(shape))
	for i := range seen {
		if i%shape[len(shape)-1] == 0 || r.IntN(3) > 0 {
			seen[i] = 1
		}
	}
	return int32s(shape, seen...)
}

// placesIn draws so many indices below n.
func placesIn(r *rand.Rand, count, n int) []int64 {
	list := make([]int64, count)
	for i := range list {
		list[i] = r.Int64N(int64(n))
	}
	return list
}

// bools is a mask of integers as one of booleans.
func bools(t *onnx.Tensor) *onnx.Tensor {
	mask := &onnx.Tensor{Type: onnx.Bool, Dims: t.Dims}
	for i := 0; i < len(t.Raw); i += 4 {
		mask.Raw = append(mask.Raw, t.Raw[i])
	}
	return mask
}

// drawAttention draws attention of three and four dimensions, with groups of heads, masks, a past, a cap, and each output.
var drawAttention draw = func(r *rand.Rand, opset int64) testCase {
	rows, kv, group, length, keys, size, width := 1+r.IntN(2), 1+r.IntN(2), 1+r.IntN(2), 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(3)
	heads, past := kv*group, 0
	c := recipe{op: "Attention", outputs: 1}
	if r.IntN(2) == 0 {
		c.attr(onnx.IntAttr("q_num_heads", int64(heads)), onnx.IntAttr("kv_num_heads", int64(kv)))
		c.take(anything, rows, length, heads*size)
		c.take(anything, rows, keys, kv*size)
		c.take(anything, rows, keys, kv*width)
		c.sized = true
	} else {
		c.take(anything, rows, heads, length, size)
		c.take(anything, rows, kv, keys, size)
		c.take(anything, rows, kv, keys, width)
	}
	if r.IntN(4) == 0 {
		past, c.outputs = 1+r.IntN(2), 3
	}
	switch all := keys + past; r.IntN(5) {
	case 0:
		c.take(anything, length, all)
	case 1:
		c.take(anything, rows, 1, length, all)
	case 2:
		c.fix(bools(seenKeys(r, rows, heads, length, all)))
	case 3:
		c.fix(bools(seenKeys(r, length, all)))
	default:
		c.leave()
	}
	if opset >= 24 && past == 0 && r.IntN(2) == 0 {
		c.leave()
		c.leave()
		var used []int64
		for range rows {
			used = append(used, 1+r.Int64N(int64(keys)))
		}
		c.fix(onnx.Int64s([]int64{int64(rows)}, used...))
	}
	if past > 0 {
		c.take(anything, rows, kv, past, size)
		c.take(anything, rows, kv, past, width)
	}
	if r.IntN(3) == 0 {
		c.attr(onnx.IntAttr("is_causal", 1))
	}
	if r.IntN(3) == 0 {
		c.attr(onnx.FloatAttr("scale", 0.7))
	}
	if r.IntN(3) == 0 {
		c.attr(onnx.FloatAttr("softcap", 2))
	}
	if r.IntN(4) == 0 && c.outputs == 3 {
		c.output = 1 + r.IntN(2)
	}
	return c.testCase()
}

// drawRotary draws rotations of whole heads and of parts, with positions and with an angle for each token.
var drawRotary draw = func(r *rand.Rand, _ int64) testCase {
	rows, heads, length, pairs, rest := 1+r.IntN(2), 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(2), 2*r.IntN(2)
	c := recipe{op: "RotaryEmbedding"}
	size := 2*pairs + rest
	if r.IntN(2) == 0 {
		c.take(anything, rows, length, heads*size)
		c.attr(onnx.IntAttr("num_heads", int64(heads)))
	} else {
		c.take(anything, rows, heads, length, size)
	}
	if rest > 0 {
		c.attr(onnx.IntAttr("rotary_embedding_dim", int64(2*pairs)))
	}
	if r.IntN(2) == 0 {
		c.attr(onnx.IntAttr("interleaved", 1))
	}
	if r.IntN(2) == 0 {
		c.take(anything, rows, length, pairs)
		c.take(anything, rows, length, pairs)
		return c.testCase()
	}
	c.take(anything, 5, pairs)
	c.take(anything, 5, pairs)
	c.fix(onnx.Int64s(wide(dims(rows, length)), placesIn(r, rows*length, 5)...))
	return c.testCase()
}

// drawFusedRotary draws rotations with one position for all or one for each token.
var drawFusedRotary draw = func(r *rand.Rand, _ int64) testCase {
	rows, heads, length, pairs := 1+r.IntN(2), 1+r.IntN(3), 1+r.IntN(3), 4
	c := recipe{domain: microsoft, op: "RotaryEmbedding"}
	if r.IntN(2) == 0 {
		c.take(anything, rows, length, heads*2*pairs)
	} else {
		c.take(anything, rows, heads, length, 2*pairs)
	}
	if r.IntN(2) == 0 {
		c.fix(onnx.Int64s([]int64{1}, r.Int64N(2)))
	} else {
		c.fix(onnx.Int64s(wide(dims(rows, length)), placesIn(r, rows*length, 5)...))
	}
	c.take(anything, 5, pairs)
	c.take(anything, 5, pairs)
	if r.IntN(2) == 0 {
		c.attr(onnx.IntAttr("interleaved", 1))
	}
	return c.testCase()
}

// drawFusedAttention draws self-attention with one weight for queries, keys and values.
var drawFusedAttention draw = func(r *rand.Rand, _ int64) testCase {
	rows, length, in, heads, size, width, past := 1+r.IntN(2), 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(2), 1+r.IntN(3), 1+r.IntN(3), 0
	c := recipe{domain: microsoft, op: "Attention", sized: true}
	if r.IntN(4) == 0 {
		past, width = 2, size
	}
	if width == size {
		c.outputs = 1
	} else {
		c.attr(onnx.IntsAttr("qkv_hidden_sizes", int64(heads*size), int64(heads*size), int64(heads*width)))
	}
	c.attr(onnx.IntAttr("num_heads", int64(heads)))
	c.take(anything, rows, length, in)
	c.take(anything, in, heads*(2*size+width))
	c.take(anything, heads*(2*size+width))
	c.mask(r, rows, length, length+past, 2)
	if past > 0 {
		c.outputs = 2
		c.output = r.IntN(2)
		c.take(anything, 2, rows, heads, past, size)
	} else {
		c.leave()
		c.biased(r, rows, heads, length, length)
	}
	c.scored(r)
	return c.testCase()
}

// mask draws a mask of any of its forms, or none; one of bounds has one or two for each row.
func (c *recipe) mask(r *rand.Rand, rows, length, keys, ends int) {
	switch r.IntN(4) {
	case 0:
		c.fix(seenKeys(r, rows, keys))
	case 1:
		c.fix(seenKeys(r, rows, length, keys))
	case 2:
		bounds := make([]int, 2*rows)
		for i := range rows {
			bounds[i] = 1 + r.IntN(keys)
			bounds[rows+i] = r.IntN(bounds[i])
		}
		bounds = bounds[:rows*(1+r.IntN(ends))]
		c.fix(int32s(dims(len(bounds)), bounds...))
	default:
		c.leave()
	}
}

// biased draws a bias of the scores, or none.
func (c *recipe) biased(r *rand.Rand, rows, heads, length, keys int) {
	if r.IntN(2) == 0 {
		c.take(anything, oneOf(r, []int{1, rows}), oneOf(r, []int{1, heads}), length, keys)
	} else {
		c.leave()
	}
}

// scored draws the attributes that attention operators share.
func (c *recipe) scored(r *rand.Rand) {
	if r.IntN(3) == 0 {
		c.attr(onnx.FloatAttr("scale", 0.7))
	}
	if r.IntN(3) == 0 {
		c.attr(onnx.IntAttr("unidirectional", 1))
	}
}

// drawMultiHead draws attention to other tokens, with biases, and with keys that were split into heads before.
var drawMultiHead draw = func(r *rand.Rand, _ int64) testCase {
	rows, length, keys, heads, size, width, past := 1+r.IntN(2), 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(2), 1+r.IntN(3), 1+r.IntN(3), 0
	split := r.IntN(4) == 0
	if !split && r.IntN(4) == 0 {
		past = 2
	}
	if split || past > 0 {
		width = size
	}
	c := recipe{domain: microsoft, op: "MultiHeadAttention", outputs: 1}
	c.attr(onnx.IntAttr("num_heads", int64(heads)))
	c.take(anything, rows, length, heads*size)
	if split {
		c.take(anything, rows, heads, keys, size)
		c.take(anything, rows, heads, keys, width)
	} else {
		c.take(anything, rows, keys, heads*size)
		c.take(anything, rows, keys, heads*width)
	}
	if r.IntN(2) == 0 {
		c.take(anything, heads*(2*size+width))
	} else {
		c.leave()
	}
	c.mask(r, rows, length, keys+past, 1)
	c.biased(r, rows, heads, length, keys+past)
	c.scored(r)
	if past > 0 {
		c.outputs = 3
		c.output = r.IntN(3)
		c.take(anything, rows, heads, past, size)
		c.take(anything, rows, heads, past, width)
	}
	return c.testCase()
}
