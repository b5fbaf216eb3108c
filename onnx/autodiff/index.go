package autodiff

import "metalora/onnx"

// addingOpset is the first operator set whose ScatterElements can add.
const addingOpset = 16

// y = x[starts:ends:steps] on some axes: dx = zeros with dy in the places that were read.
func slice(b *builder, n *onnx.Node, dy value, _ int) value {
	if dx, ok := b.padded(n, dy); ok {
		return dx
	}
	in := append([]value{b.places(n.Input(0))}, n.Inputs[1:]...)
	return b.put(n.Input(0), b.op("Slice", in...), dy)
}

// padded is the gradient of a Slice with steps of 1 as zeros around dy, where the axes and starts are known.
func (b *builder) padded(n *onnx.Node, dy value) (value, bool) {
	x, y := n.Input(0), n.Output(0)
	starts, ok := b.sliceStarts(n)
	if !ok {
		return "", false
	}
	before, after := make([]value, len(starts)), make([]value, len(starts))
	for axis, start := range starts {
		if !start.read {
			before[axis], after[axis] = b.vec(0), b.vec(0)
			continue
		}
		before[axis] = b.vec(start.at)
		used := b.addSizes(before[axis], b.sizeOf(y, int64(axis)))
		after[axis] = b.subSizes(b.sizeOf(x, int64(axis)), used)
	}
	return b.op("Pad", dy, b.concat(append(before, after...)...)), true
}

// start is where a Slice begins along an axis that it reads part of.
type start struct {
	read bool
	at   int64
}

// sliceStarts lists for each axis of a Slice where it starts. It fails for steps other than 1, and where that is not known
// in advance.
func (b *builder) sliceStarts(n *onnx.Node) ([]start, bool) {
	shape := b.info[n.Input(0)].Shape
	at, ok := b.ints(n.Input(1))
	axes, named := b.ints(n.Input(3))
	steps, stepped := b.ints(n.Input(4))
	if !ok || shape == nil || n.Input(3) != "" && !named || n.Input(4) != "" && !stepped {
		return nil, false
	}
	starts := make([]start, len(shape))
	for i := range at {
		axis := int64(i)
		if named {
			axis = (axes[i] + int64(len(shape))) % int64(len(shape))
		}
		size := shape[axis].Size
		switch {
		case stepped && steps[i] != 1, at[i] < 0 && size < 0:
			return nil, false
		case at[i] < 0:
			at[i] = max(0, at[i]+size)
		case size >= 0:
			at[i] = min(at[i], size)
		}
		starts[axis] = start{true, at[i]}
	}
	return starts, true
}

// subSizes subtracts two vectors of one int64, at once where both are known.
func (b *builder) subSizes(x, y value) value {
	p, known := b.size(x)
	q, alsoKnown := b.size(y)
	if known && alsoKnown {
		return b.vec(p - q)
	}
	return b.sub(x, y)
}

// y = x[ids] along an axis: dx = zeros to which dy is added at ids.
func gather(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	rank, axis := int64(b.rank(x)), b.axis(n, x, 0)
	alike := make([]int64, rank) // the ids' shape: all of them along the axis
	sizes := make([]value, rank)
	for i := range rank {
		alike[i], sizes[i] = 1, b.sizeOf(x, i)
	}
	alike[axis], sizes[axis] = -1, b.vec(-1)
	dy = b.op("Reshape", dy, b.concat(sizes...))
	ids := b.op("Expand", b.op("Reshape", n.Input(1), b.vec(alike...)), b.op("Shape", dy))
	return b.addAt(b.zerosLike(x), ids, dy, axis)
}

// y_i = x[ids_i] along an axis: dx = zeros to which dy_i is added at ids_i.
func gatherElements(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.addAt(b.zerosLike(n.Input(0)), n.Input(1), dy, n.Int("axis", 0))
}

// y = x at tuples of indices: dx = zeros to which dy is added there. Never by ScatterND: ONNX Runtime's loses rows when it
// adds on several threads.
func gatherND(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	read := b.with("GatherND", []value{b.places(x), n.Input(1)}, onnx.IntAttr("batch_dims", n.Int("batch_dims", 0)))
	return b.addToPlaces(x, read, dy)
}

// y = the k largest or smallest of x along an axis: dx = zeros with dy where they were.
func topK(b *builder, n *onnx.Node, dy value, _ int) value {
	zeros := b.zerosLike(n.Input(0))
	return b.with("ScatterElements", []value{zeros, b.extraOutput(n, 1), dy}, onnx.IntAttr("axis", n.Int("axis", -1)))
}

// y = x where a condition holds, along an axis or of all elements: dx = zeros with dy where they were.
func compress(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	return b.put(x, b.with("Compress", []value{b.places(x), n.Input(1)}, n.Attrs...), dy)
}

// y = values[1] where an axis counts the index, else values[0]: each takes its part of dy.
func oneHot(b *builder, n *onnx.Node, dy value, _ int) value {
	hot := b.with("OneHot", []value{n.Input(0), n.Input(1), b.tensor([]int64{2}, 0, 1)}, n.Attrs...)
	sum := func(v value) value { return b.op("Reshape", b.op("ReduceSum", v), b.vec(1)) }
	on := sum(b.mul(dy, hot))
	return b.concat(b.sub(sum(dy), on), on)
}

// addAt adds updates to x at ids along an axis. ScatterElements is sequential in ONNX Runtime: right with repeated ids, and
// the same bits on any number of threads. It has no 16-bit kernel that adds: there the sum is one of floats.
func (b *builder) addAt(x, ids, updates value, axis int64) value {
	b.lift(addingOpset)
	if t := b.dtype; t == onnx.Float16 || t == onnx.BFloat16 {
		b.dtype = onnx.Float
		sum := b.addAt(b.cast(x, onnx.Float), ids, b.cast(updates, onnx.Float), axis)
		b.dtype = t
		return b.cast(sum, t)
	}
	return b.with("ScatterElements", []value{x, ids, updates}, onnx.IntAttr("axis", axis), onnx.StringAttr("reduction", "add"))
}

// places numbers the elements of x, in x's shape: what an operator that moves elements makes of them says where each
// of its output's came from.
func (b *builder) places(x value) value {
	return b.reshapeLike(b.op("Range", b.out.Int(0), b.op("Size", x), b.out.Int(1)), x)
}

// addToPlaces is zeros of x's shape to which each element of dy is added at its place.
func (b *builder) addToPlaces(x, places, dy value) value {
	return b.reshapeLike(b.addAt(b.flatZeros(x), b.vector(places), b.vector(dy), 0), x)
}

// put is zeros of x's shape with dy at places, none of which is named twice.
func (b *builder) put(x, places, dy value) value {
	return b.reshapeLike(b.op("ScatterElements", b.flatZeros(x), b.vector(places), b.vector(dy)), x)
}

// flatZeros is as many zeros as x has elements, in a row.
func (b *builder) flatZeros(x value) value {
	return b.filled(0, b.op("Reshape", b.op("Size", x), b.vec(1)))
}

// vector is v as one row of numbers.
func (b *builder) vector(v value) value { return b.op("Reshape", v, b.vec(-1)) }
