package autodiff

import (
	"slices"
	"strconv"
	"strings"

	"metalora/onnx"
)

// shapeOf is v's shape as an int64 vector. Where possible it is a constant, or put together from the shapes of the graph's
// inputs: a Shape node on v itself would keep v in memory until the backward half of the graph.
func (b *builder) shapeOf(v value) value {
	shape := b.info[v].Shape
	if shape == nil {
		return b.op("Shape", v)
	}
	if sizes, ok := static(shape); ok {
		return b.vec(sizes...)
	}
	parts := make([]value, len(shape))
	for i, d := range shape {
		if parts[i] = b.sizeFromInputs(d); parts[i] == "" {
			return b.op("Shape", v)
		}
	}
	return b.concat(parts...)
}

// sizeFromInputs is a dimension as a vector of one int64, computed from the shapes of the graph's inputs, or empty where
// these do not tell. A symbol may be a product of others, as in "length*rows".
func (b *builder) sizeFromInputs(d onnx.Dim) value {
	if d.Size >= 0 {
		return b.vec(d.Size)
	}
	if from, ok := b.symbols[d.Name]; ok {
		return b.op("Gather", b.op("Shape", from.input), b.vec(from.axis))
	}
	if !strings.Contains(d.Name, "*") {
		return ""
	}
	product := b.vec(1)
	for factor := range strings.SplitSeq(d.Name, "*") {
		size := onnx.Dim{Size: -1, Name: factor}
		if k, err := strconv.ParseInt(factor, 10, 64); err == nil && k >= 0 {
			size = onnx.Dim{Size: k}
		} else if strings.Contains(factor, " ") {
			return "" // a sum
		}
		f := b.sizeFromInputs(size)
		if f == "" {
			return ""
		}
		product = b.mul(product, f)
	}
	return product
}

// sizeOf is the size of one axis of v, as an int64 vector of one element. A negative axis counts from the last.
func (b *builder) sizeOf(v value, axis int64) value {
	if shape := b.info[v].Shape; shape != nil {
		if axis < 0 {
			axis += int64(len(shape))
		}
		if shape[axis].Size >= 0 {
			return b.vec(shape[axis].Size)
		}
	}
	return b.op("Gather", b.shapeOf(v), b.vec(axis))
}

// concat joins vectors.
func (b *builder) concat(parts ...value) value {
	return b.with("Concat", parts, onnx.IntAttr("axis", 0))
}

// static is the shape as plain sizes, if all are known.
func static(s onnx.Shape) ([]int64, bool) {
	sizes := []int64{}
	for _, d := range s {
		if d.Size < 0 {
			return nil, false
		}
		sizes = append(sizes, d.Size)
	}
	return sizes, s != nil
}

// reshapeLike gives x, which has as many elements as v, the shape of v.
func (b *builder) reshapeLike(x, v value) value {
	shape := slices.Clone(b.info[v].Shape)
	unknown := -1
	for i, d := range shape {
		if d.Size <= 0 && unknown >= 0 || d.Size == 0 {
			return b.reshape(x, b.shapeOf(v))
		}
		if d.Size < 0 {
			unknown = i
		}
	}
	if shape == nil {
		return b.reshape(x, b.shapeOf(v))
	}
	sizes := make([]int64, len(shape))
	for i, d := range shape {
		sizes[i] = d.Size // the one that is not known is -1, Reshape's word for "what is left"
	}
	return b.op("Reshape", x, b.vec(sizes...))
}

// reshape gives x a computed shape, in which 0 means 0 where the operator set lets one say so.
func (b *builder) reshape(x, shape value) value {
	if b.model.Opsets[""] < 14 {
		return b.op("Reshape", x, shape)
	}
	return b.with("Reshape", []value{x, shape}, onnx.IntAttr("allowzero", 1))
}

// sumTo undoes a broadcast from x's shape to y's: it sums g, which has y's shape, over the axes along which x was repeated.
func (b *builder) sumTo(g, x, y value) value { return b.sumToShape(g, x, b.info[y].Shape) }

// sumToShape is sumTo for a g of shape sy, nil where it is not known.
func (b *builder) sumToShape(g, x value, sy onnx.Shape) value {
	sx := b.info[x].Shape
	if sx != nil && len(sx) == 0 && (sy == nil || len(sy) > 0) {
		return b.with("ReduceSum", []value{g}, onnx.IntAttr("keepdims", 0))
	}
	if sx == nil || sy == nil {
		return b.sumToDynamic(g, x)
	}
	extra := len(sy) - len(sx)
	axes, certain := repeatedAxes(sx, sy)
	switch {
	case !certain:
		return b.sumToDynamic(g, x)
	case len(axes) == 0:
		return g
	case extra == 0:
		return b.sumKeep(g, axes...)
	case len(axes) == extra && len(sx) == 1 && b.multiplies(x):
		return b.sumRows(g, x, len(sy))
	case len(axes) == extra:
		return b.sumDrop(g, axes...)
	}
	return b.reshapeLike(b.sumDrop(g, axes...), x)
}

// multiplies reports whether the engine has products of x's type.
func (b *builder) multiplies(x value) bool {
	t := b.info[x].Type
	return t == onnx.Float || t == onnx.Double
}

// sumRows sums g [..., n] of a rank to x's shape [n] by a product with a row of ones: that adds up in blocks, and its
// rounding error is a fifth of ReduceSum's, which adds thousands of rows one after another.
func (b *builder) sumRows(g, x value, rank int) value {
	if rank > 2 {
		g = b.op("Reshape", g, b.concat(b.vec(-1), b.sizeOf(x, 0)))
	}
	rows := b.op("Gather", b.op("Shape", g), b.vec(0))
	return b.op("Reshape", b.gemm(b.filled(1, b.concat(b.vec(1), rows)), g, false, false, 1), b.vec(-1))
}

// repeatedAxes lists the axes of sy along which sx is repeated when it is broadcast to sy, if the shapes tell.
func repeatedAxes(sx, sy onnx.Shape) (axes []int64, certain bool) {
	extra := len(sy) - len(sx)
	for i := range sy {
		switch {
		case i < extra, sx[i-extra].Size == 1 && sy[i].Size != 1:
			axes = append(axes, int64(i))
		case !sameSize(sx[i-extra], sy[i]):
			return nil, false
		}
	}
	return axes, true
}

// sameSize reports whether a dimension of x certainly equals the dimension of y = f(x, ...) that it was broadcast to.
func sameSize(x, y onnx.Dim) bool {
	return x.Size > 1 || y.Size == 1 || x.Size == y.Size && x.Size >= 0 || x.Name != "" && x.Name == y.Name
}

// sumToDynamic is sumTo where the shapes are known only when the graph runs: the axes to sum over are those on which the
// shapes, x's padded with ones in front, differ.
func (b *builder) sumToDynamic(g, x value) value {
	sx, sg := b.shapeOf(x), b.op("Shape", g)
	one := &onnx.Tensor{Type: onnx.Int64, Dims: []int64{1}, Raw: onnx.Int64s([]int64{1}, 1).Raw}
	extra := b.sub(b.op("Shape", sg), b.op("Shape", sx))
	ones := b.with("ConstantOfShape", []value{extra}, onnx.Attr{Name: "value", Kind: onnx.KindTensor, T: one})
	differ := b.op("Not", b.equal(b.concat(ones, sx), sg))
	axes := b.op("Squeeze", b.op("NonZero", differ), b.vec(0))
	sum := b.with("ReduceSum", []value{g, axes}, onnx.IntAttr("keepdims", 1), onnx.IntAttr("noop_with_empty_axes", 1))
	return b.reshape(sum, sx)
}
