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
	{"", "ScatterElements"}: since(16, drawScatterElements("none", "add")),
	{"", "ScatterND"}:       since(16, drawScatterND("none", "add")),
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
func drawScatterElements(reductions ...string) draw {
	return func(r *rand.Rand, _ int64) testCase {
		shape, reduction := anyShape(r, 1, 3), oneOf(r, reductions)
		axis := anyAxis(r, len(shape))
		along := within(axis, len(shape))
		at := smaller(r, shape, along)
		ids := indices(r, elements(at), shape[along])
		if reduction == "none" {
			at[along] = 1 + r.IntN(shape[along])
			ids = distinctAlong(r, at, along, shape[along])
		}
		return scattered("ScatterElements", reduction, axis, shape, at, wide(at), ids...)
	}
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
func drawScatterND(reductions ...string) draw {
	return func(r *rand.Rand, _ int64) testCase {
		shape, reduction := anyShape(r, 1, 3), oneOf(r, reductions)
		length := 1 + r.IntN(len(shape))
		count := 1 + r.IntN(4)
		ids := addresses(r, count, shape[:length])
		if reduction == "none" {
			count = 1
			ids = ids[:length]
		}
		updates := append(dims(count), shape[length:]...)
		return scattered("ScatterND", reduction, -1, shape, updates, []int64{int64(count), int64(length)}, ids...)
	}
}
