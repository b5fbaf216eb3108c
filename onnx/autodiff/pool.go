package autodiff

import (
	"slices"

	"metalora/onnx"
)

// y = max of each window of x: dx = zeros to which dy is added where each maximum was. The operator says where, as places in
// the whole of x.
func maxPool(b *builder, n *onnx.Node, dy value, _ int) value {
	x, places := n.Input(0), ""
	if n.Int("storage_order", 0) == 0 {
		places = b.extraOutput(n, 1)
	} else { // the places are counted along columns: ask again for the usual order
		rows := slices.DeleteFunc(slices.Clone(n.Attrs), func(a onnx.Attr) bool { return a.Name == "storage_order" })
		places = b.out.Node("", "MaxPool", []value{x}, 2, rows...)[1]
	}
	flat := b.filled(0, b.op("Reshape", b.op("Size", x), b.vec(1)))
	return b.reshapeLike(b.addAt(flat, b.vector(places), b.vector(dy), 0), x)
}

// y = what MaxPool was given, as far as its maxima and their places tell, zeros elsewhere: dx = dy at the places.
func maxUnpool(b *builder, n *onnx.Node, dy value, _ int) value {
	dx := b.with("GatherElements", []value{b.vector(dy), b.vector(n.Input(1))}, onnx.IntAttr("axis", 0))
	return b.reshapeLike(dx, n.Input(0))
}

// y = mean of each window of x: along each axis y is a matrix times x, so dx is the transposed matrices times dy.
func averagePool(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.unpool(n, dy, "AveragePool", onnx.IntAttr("count_include_pad", n.Int("count_include_pad", 0)))
}

// y = (Σ|x|^p)^(1/p) over each window: dx = sign(x)*|x|^(p-1) times the sum of dy*y^(1-p) over the windows that x is in.
func lpPool(b *builder, n *onnx.Node, dy value, _ int) value {
	p := float64(n.Int("p", 2))
	spread := b.unpool(n, b.mul(dy, b.inverse(n.Output(0), p-1)), "LpPool", onnx.IntAttr("p", 1))
	return b.mul(spread, b.signedPower(n.Input(0), p-1))
}

// inverse is v^-p, zero where v is.
func (b *builder) inverse(v value, p float64) value {
	if p == 0 {
		return b.num(1)
	}
	return b.where(b.equal(v, b.num(0)), b.num(0), b.pow(v, b.num(-p)))
}

// signedPower is sign(v)*|v|^p.
func (b *builder) signedPower(v value, p float64) value {
	switch p {
	case 0:
		return b.op("Sign", v)
	case 1:
		return v
	}
	return b.mul(b.op("Sign", v), b.pow(b.op("Abs", v), b.num(p)))
}

// unpool multiplies dy, along each spatial axis, by the transpose of the matrix that a pooling over this axis alone is. The
// matrix is what the operator itself makes of an identity.
func (b *builder) unpool(n *onnx.Node, dy value, name string, attrs ...onnx.Attr) value {
	kernel := n.Ints("kernel_shape")
	w, _ := onnx.NewWindow(n, kernel)
	for i, k := range kernel {
		along := append(slices.Clone(attrs), onnx.IntsAttr("kernel_shape", k), onnx.IntsAttr("strides", w.Strides[i]))
		if w.Ceil {
			along = append(along, onnx.IntAttr("ceil_mode", 1))
		}
		if w.Dilations[i] > 1 {
			along = append(along, onnx.IntsAttr("dilations", w.Dilations[i]))
		}
		if w.Same != "" {
			along = append(along, onnx.StringAttr("auto_pad", w.Same))
		} else {
			along = append(along, onnx.IntsAttr("pads", w.Before[i], w.After[i]))
		}
		size := b.sizeOf(n.Input(0), int64(i+2))
		pooled := b.with(name, []value{b.identity(b.concat(b.vec(1), size, size))}, along...)
		dy = b.along(dy, len(kernel)+2, i+2, b.op("Squeeze", pooled, b.vec(0)))
	}
	return dy
}

// identity is an identity matrix of the shape [1, n, n].
func (b *builder) identity(shape value) value {
	square := b.op("Squeeze", b.filled(0, shape), b.vec(0))
	return b.op("Unsqueeze", b.op("EyeLike", square), b.vec(0))
}

// along multiplies v, of a rank, by the matrix m [in, out] along an axis of size out, which becomes in.
func (b *builder) along(v value, rank, axis int, m value) value {
	switch axis {
	case rank - 2:
		return b.matmul(m, v)
	case rank - 1:
		return b.matmul(v, b.transpose(m, []int64{1, 0}))
	}
	perm := axesUpTo(rank)
	perm[axis], perm[rank-1] = perm[rank-1], perm[axis]
	return b.transpose(b.matmul(b.transpose(v, perm), b.transpose(m, []int64{1, 0})), perm)
}

// A global pooling is a reduction over all axes behind the channels.

func globalAveragePool(b *builder, n *onnx.Node) []value { return b.reduceSpatial(n, "ReduceMean") }
func globalMaxPool(b *builder, n *onnx.Node) []value     { return b.reduceSpatial(n, "ReduceMax") }

// y = (Σ|x|^p)^(1/p) over all spatial axes: dx = dy*sign(x)*|x|^(p-1)*y^(1-p).
func globalLpPool(b *builder, n *onnx.Node, dy value, _ int) value {
	p := float64(n.Int("p", 2))
	return b.mul(b.mul(dy, b.inverse(n.Output(0), p-1)), b.signedPower(n.Input(0), p-1))
}

func (b *builder) reduceSpatial(n *onnx.Node, name string) []value {
	var axes []int64
	for i := 2; i < b.rank(n.Input(0)); i++ {
		axes = append(axes, int64(i))
	}
	return []value{b.reduce(name, n.Input(0), axes...)}
}
