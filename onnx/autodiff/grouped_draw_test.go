package autodiff

import (
	"math/rand/v2"

	"metalora/onnx"
)

var groupedDraws = map[op]generator{{microsoft, "GroupQueryAttention"}: always(drawGroupQuery.inFloat())}

// drawGroupQuery draws attention of rows with pads at their ends, apart and in one input, with a cap and a window.
var drawGroupQuery draw = func(r *rand.Rand, _ int64) testCase {
	rows, length, kv, group, size := 1+r.IntN(2), 1+r.IntN(4), 1+r.IntN(2), 1+r.IntN(2), 8
	c := recipe{domain: microsoft, op: "GroupQueryAttention", note: "GroupQueryAttention ", outputs: 3, sized: true}
	c.attr(onnx.IntAttr("num_heads", int64(kv*group)), onnx.IntAttr("kv_num_heads", int64(kv)))
	if r.IntN(2) == 0 {
		c.take(anything, rows, length, (group+2)*kv*size)
		c.leave()
		c.leave()
	} else {
		c.take(anything, rows, length, group*kv*size)
		c.take(anything, rows, length, kv*size)
		c.take(anything, rows, length, kv*size)
	}
	c.leave()
	c.leave()
	last := make([]int, rows)
	for i := range last {
		last[i] = r.IntN(length)
	}
	c.fix(int32s(dims(rows), last...))
	c.fix(int32s(dims(), length))
	if r.IntN(3) == 0 {
		c.attr(onnx.FloatAttr("softcap", 2))
	}
	if r.IntN(3) == 0 {
		c.attr(onnx.FloatAttr("scale", 0.7))
	}
	if r.IntN(3) == 0 {
		c.attr(onnx.IntAttr("local_window_size", 1+r.Int64N(2)))
	}
	if r.IntN(4) == 0 {
		c.output = 1 + r.IntN(2)
	}
	return c.testCase()
}
