package autodiff

import (
	"encoding/binary"
	"math"

	"metalora/onnx"
)

// The words that formulas are written in: each appends one node, or a few.

func (b *builder) add(x, y value) value     { return b.op("Add", x, y) }
func (b *builder) sub(x, y value) value     { return b.op("Sub", x, y) }
func (b *builder) mul(x, y value) value     { return b.op("Mul", x, y) }
func (b *builder) div(x, y value) value     { return b.op("Div", x, y) }
func (b *builder) neg(x value) value        { return b.op("Neg", x) }
func (b *builder) exp(x value) value        { return b.op("Exp", x) }
func (b *builder) pow(x, y value) value     { return b.op("Pow", x, y) }
func (b *builder) square(x value) value     { return b.op("Mul", x, x) }
func (b *builder) equal(x, y value) value   { return b.op("Equal", x, y) }
func (b *builder) less(x, y value) value    { return b.op("Less", x, y) }
func (b *builder) greater(x, y value) value { return b.op("Greater", x, y) }
func (b *builder) where(c, x, y value) value {
	return b.op("Where", c, x, y)
}

// only is x where c holds and zero elsewhere.
func (b *builder) only(c, x value) value { return b.where(c, x, b.num(0)) }

// times is x*k for a plain number; it costs nothing where k is 1.
func (b *builder) times(x value, k float64) value {
	if k == 1 {
		return x
	}
	return b.mul(x, b.num(k))
}

// cast converts x to another element type.
func (b *builder) cast(x value, t onnx.DType) value {
	return b.with("Cast", []value{x}, onnx.IntAttr("to", int64(t)))
}

// transpose permutes the axes of x.
func (b *builder) transpose(x value, perm []int64) value {
	return b.with("Transpose", []value{x}, onnx.IntsAttr("perm", perm...))
}

// sumKeep sums over axes, which stay with size 1.
func (b *builder) sumKeep(x value, axes ...int64) value {
	return b.with("ReduceSum", []value{x, b.vec(axes...)}, onnx.IntAttr("keepdims", 1))
}

// sumDrop sums over axes, which vanish.
func (b *builder) sumDrop(x value, axes ...int64) value {
	return b.with("ReduceSum", []value{x, b.vec(axes...)}, onnx.IntAttr("keepdims", 0))
}

// meanKeep averages over axes, which stay with size 1.
func (b *builder) meanKeep(x value, axes ...int64) value { return b.reduce("ReduceMean", x, axes...) }

// reduce is one of the reductions other than ReduceSum, over axes, which stay with size 1. The axes are an attribute before
// opset 18, an input since.
func (b *builder) reduce(name string, x value, axes ...int64) value {
	if b.model.Opsets[""] < 18 {
		return b.with(name, []value{x}, onnx.IntsAttr("axes", axes...), onnx.IntAttr("keepdims", 1))
	}
	return b.with(name, []value{x, b.vec(axes...)}, onnx.IntAttr("keepdims", 1))
}

// num is a scalar of the element type of the formula at hand.
func (b *builder) num(x float64) value {
	return b.tensor(nil, x)
}

// tensor is a constant of the element type of the formula at hand.
func (b *builder) tensor(dims []int64, xs ...float64) value {
	t := &onnx.Tensor{Type: b.dtype, Dims: dims}
	for _, x := range xs {
		t.Raw = append(t.Raw, encode(b.dtype, x)...)
	}
	return b.out.Const(t)
}

// filled is a tensor of the given shape that holds x everywhere.
func (b *builder) filled(x float64, shape value) value {
	t := &onnx.Tensor{Type: b.dtype, Dims: []int64{1}, Raw: encode(b.dtype, x)}
	return b.with("ConstantOfShape", []value{shape}, onnx.Attr{Name: "value", Kind: onnx.KindTensor, T: t})
}

// zerosLike is a tensor of v's shape that holds zeros.
func (b *builder) zerosLike(v value) value { return b.filled(0, b.shapeOf(v)) }

// encode writes x as one element of type t; unknown types are taken to be float.
func encode(t onnx.DType, x float64) []byte {
	switch t {
	case onnx.Double:
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(x))
	case onnx.Float16:
		return binary.LittleEndian.AppendUint16(nil, float16(x))
	case onnx.BFloat16:
		bits := math.Float32bits(float32(x))
		return binary.LittleEndian.AppendUint16(nil, uint16((bits+0x7fff+bits>>16&1)>>16))
	}
	return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(x)))
}

// float16 is x in IEEE 754's half precision, rounded to nearest; the formulas' numbers are all within its normal range.
func float16(x float64) uint16 {
	if x == 0 {
		return 0
	}
	fraction, exponent := math.Frexp(math.Abs(x)) // x = fraction * 2^exponent, fraction in [0.5, 1)
	bits := uint16(exponent+14)<<10 + uint16(math.RoundToEven(fraction*2048)-1024)
	if x < 0 {
		bits |= 1 << 15
	}
	return bits
}

// typeOf is the element type of one of the model's own values; unknown ones are taken to be float.
func (b *builder) typeOf(v value) onnx.DType {
	if t := b.info[v].Type; t != onnx.Undefined {
		return t
	}
	return onnx.Float
}

// likeType is x in the element type of the formula at hand or, given one, in that of the model's value v.
func (b *builder) likeType(x, v value) value {
	if t := b.info[x].Type; t == b.typeOf(v) || t == onnx.Undefined && b.typeOf(v) == b.dtype {
		return x
	}
	return b.cast(x, b.typeOf(v))
}
