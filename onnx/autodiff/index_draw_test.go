package autodiff

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"metalora/onnx"
)

var indexDraws = map[op]generator{
	{"", "Slice"}:           always(drawSlice),
	{"", "Gather"}:          always(drawGather),
	{"", "GatherElements"}:  always(drawGatherElements),
	{"", "GatherND"}:        always(drawGatherND),
	{"", "ScatterElements"}: since(11, drawScatterElements),
	{"", "ScatterND"}:       since(11, drawScatterND),
	{"", "TensorScatter"}:   since(24, drawTensorScatter),
	{"", "TopK"}:            always(drawTopK),
	{"", "Compress"}:        always(drawCompress),
	{"", "OneHot"}:          always(drawOneHot.inFloat()),
}

// drawTopK draws the largest and the smallest along an axis, in order or not.
func drawTopK(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 1, 3)
	axis := anyAxis(r, len(shape))
	k := 1 + r.Int64N(int64(shape[within(axis, len(shape))]))
	attrs := append(ints("axis", axis), onnx.IntAttr("largest", r.Int64N(2)), onnx.IntAttr("sorted", r.Int64N(2)))
	c := node("TopK", attrs, input{shape, distinct})
	c.name = fmt.Sprintf("%s k=%d", c.name, k)
	c.build = func(b *onnx.Builder, in []string) string {
		return b.Node("", "TopK", []string{in[0], b.Ints(k)}, 2, attrs...)[0]
	}
	return c
}

// drawCompress draws conditions for an axis, of which some may be missing at its end, and for all elements.
func drawCompress(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 1, 3)
	axis, attrs := anyAxis(r, len(shape)), []onnx.Attr(nil)
	size := elements(shape)
	if r.IntN(3) > 0 {
		attrs, size = ints("axis", axis), shape[within(axis, len(shape))]
	}
	holds := make([]byte, 1+r.IntN(size))
	for i := range holds {
		holds[i] = byte(r.IntN(2))
	}
	holds[0] = 1 // an empty result has nothing to differentiate
	c := node("Compress", attrs, of(anything, shape)...)
	c.name = fmt.Sprint(c.name, holds)
	c.build = func(b *onnx.Builder, in []string) string {
		condition := b.Const(&onnx.Tensor{Type: onnx.Bool, Dims: []int64{int64(len(holds))}, Raw: holds})
		return b.Op("Compress", []string{in[0], condition}, attrs...)
	}
	return c
}

// drawOneHot draws indices of which some are out of range, whose rows are off.
var drawOneHot draw = func(r *rand.Rand, _ int64) testCase {
	at, depth := anyShape(r, 1, 2), int64(anySize(r))
	ids := indices(r, elements(at), int(depth)+1)
	attrs := ints("axis", anyAxis(r, len(at)+1))
	c := node("OneHot", attrs, of(anything, dims(2))...)
	c.name = fmt.Sprint(c.name, at, ids, " of ", depth)
	c.build = func(b *onnx.Builder, in []string) string {
		return b.Op("OneHot", []string{b.Const(onnx.Int64s(wide(at), ids...)), b.Int(depth), in[0]}, attrs...)
	}
	return c
}

// drawTensorScatter draws updates of rows from an index on, in a cache that ends or goes round.
func drawTensorScatter(r *rand.Rand, _ int64) testCase {
	shape, mode := anyShape(r, 2, 4), oneOf(r, []string{"linear", "circular"})
	axis := 1 + r.IntN(len(shape)-1)
	update := slices.Clone(shape)
	update[axis] = 1 + r.IntN(shape[axis])
	attrs := append(ints("axis", int64(axis)), onnx.StringAttr("mode", mode))
	starts := make([]int64, shape[0])
	for i := range starts {
		starts[i] = r.Int64N(int64(shape[axis] - update[axis] + 1))
		if mode == "circular" {
			starts[i] = r.Int64N(int64(shape[axis]))
		}
	}
	c := node("TensorScatter", attrs, of(anything, shape, update)...)
	c.name = fmt.Sprint(c.name, starts)
	c.build = func(b *onnx.Builder, in []string) string {
		return b.Op("TensorScatter", append(in, b.Ints(starts...)), attrs...)
	}
	return c
}

// anyReduction draws what a scatter does in an operator set, and what fills x and u.
func anyReduction(r *rand.Rand, opset int64) (reduction string, x, u values) {
	known := []string{"none"}
	if opset >= 16 {
		known = append(known, "add", "mul")
	}
	if opset >= 18 {
		known = append(known, "max", "min")
	}
	switch reduction = oneOf(r, known); reduction {
	case "max", "min":
		return reduction, spaced(1+r.IntN(30), 0), spaced(1+r.IntN(30), 0.185)
	case "mul":
		u = oneOf(r, []values{offZero, someZeros})
		return reduction, u, u
	}
	return reduction, anything, anything
}

// spaced gives up to 31 numbers no two of which are near each other, nor near those of another offset, in some order.
func spaced(order int, offset float64) values {
	return func(_ *rand.Rand, i int) float64 { return float64(i*order%31)*0.37 - 5.5 + offset }
}

// drawSlice draws some axes, with starts and ends within and beyond the tensor, and steps in both directions.
func drawSlice(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 1, 4)
	axes := pick(r, len(shape), 1+r.IntN(len(shape)))
	var starts, ends, steps []int64
	for _, axis := range axes {
		first, last, step := sliceRange(r, int64(shape[axis]))
		starts, ends, steps = append(starts, first), append(ends, last), append(steps, step)
	}
	return sliced(shape, starts, ends, append(signed(r, axes, len(shape)), steps...)...)
}

// sliceRange draws a range of n elements that holds at least one.
func sliceRange(r *rand.Rand, n int64) (first, last, step int64) {
	step = []int64{1, 1, 1, 2, -1, -2}[r.IntN(6)]
	first = r.Int64N(n)
	last = first + 1 + r.Int64N(n)
	if step < 0 {
		last = max(-1, first-1-r.Int64N(n)) - n
	} else if r.IntN(2) == 0 {
		last = n
	}
	if r.IntN(2) == 0 {
		first -= n
	}
	return first, last, step
}

// indices draws a count of indices into n entries, from either end, often repeated.
func indices(r *rand.Rand, count, n int) []int64 {
	ids := make([]int64, count)
	for i := range ids {
		ids[i] = int64(r.IntN(2*n) - n)
	}
	return ids
}

func wide(shape []int) []int64 {
	sizes := []int64{}
	for _, n := range shape {
		sizes = append(sizes, int64(n))
	}
	return sizes
}

func drawGather(r *rand.Rand, _ int64) testCase {
	shape, at := anyShape(r, 1, 3), anyShape(r, 0, 2)
	axis := anyAxis(r, len(shape))
	return gathered(shape, axis, at, indices(r, elements(at), shape[within(axis, len(shape))])...)
}

func drawGatherElements(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 1, 3)
	axis := anyAxis(r, len(shape))
	at := smaller(r, shape, within(axis, len(shape)))
	return indexed("GatherElements", shape, axis, wide(at), indices(r, elements(at), shape[within(axis, len(shape))])...)
}

// smaller is a shape that fits into another but along one axis, which is of any size.
func smaller(r *rand.Rand, shape []int, but int) []int {
	at := slices.Clone(shape)
	for i := range at {
		at[i] = 1 + r.IntN(at[i])
	}
	at[but] = anySize(r)
	return at
}

// drawGatherND draws addresses of any length after any number of batch dimensions.
func drawGatherND(r *rand.Rand, _ int64) testCase {
	shape := anyShape(r, 1, 3)
	batch := r.IntN(len(shape))
	length := 1 + r.IntN(len(shape)-batch)
	at := append(slices.Clone(shape[:batch]), anyShape(r, 0, 2)...)
	ids := addresses(r, elements(at), shape[batch:batch+length])
	c := testCase{name: fmt.Sprint(shape, " batch ", batch, " at ", at, ids), inputs: of(anything, shape)}
	c.build = func(b *onnx.Builder, in []string) string {
		where := b.Const(onnx.Int64s(wide(append(at, length)), ids...))
		return b.Op("GatherND", []string{in[0], where}, onnx.IntAttr("batch_dims", int64(batch)))
	}
	return c
}

// addresses draws tuples of indices into the dimensions of a shape.
func addresses(r *rand.Rand, count int, shape []int) []int64 {
	ids := []int64{}
	for range count {
		for _, n := range shape {
			ids = append(ids, indices(r, 1, n)...)
		}
	}
	return ids
}

// drawScatterElements draws indices that repeat only where the reduction is defined for that.
func drawScatterElements(r *rand.Rand, opset int64) testCase {
	reduction, x, u := anyReduction(r, opset)
	shape := anyShape(r, 1, 3)
	axis := anyAxis(r, len(shape))
	along := within(axis, len(shape))
	at := smaller(r, shape, along)
	ids := indices(r, elements(at), shape[along])
	if reduction == "none" {
		at[along] = 1 + r.IntN(shape[along])
		ids = distinctAlong(r, at, along, shape[along])
	}
	c := scattered("ScatterElements", reduction, axis, shape, at, wide(at), ids...)
	c.inputs = []input{{shape, x}, {at, u}}
	return c
}

// distinctAlong draws indices of shape at into n entries, which are distinct along an axis.
func distinctAlong(r *rand.Rand, at []int, axis, n int) []int64 {
	ids := make([]int64, elements(at))
	stride := elements(at[axis+1:])
	for first := range ids {
		if first/stride%at[axis] != 0 {
			continue
		}
		for i, id := range r.Perm(n)[:at[axis]] {
			ids[first+i*stride] = int64(id)
		}
	}
	return ids
}

// drawScatterND draws addresses that repeat only where the reduction is defined for that.
func drawScatterND(r *rand.Rand, opset int64) testCase {
	reduction, x, u := anyReduction(r, opset)
	shape := anyShape(r, 1, 3)
	length := 1 + r.IntN(len(shape))
	count := 1 + r.IntN(4)
	ids := addresses(r, count, shape[:length])
	if reduction == "none" {
		count = 1
		ids = ids[:length]
	}
	updates := append(dims(count), shape[length:]...)
	c := scattered("ScatterND", reduction, -1, shape, updates, []int64{int64(count), int64(length)}, ids...)
	c.inputs = []input{{shape, x}, {updates, u}}
	return c
}
