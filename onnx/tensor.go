package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"metalora/onnx/onnxpb"
)

// tensor checks a tensor and brings its data into one form. ONNX stores elements either raw (little-endian bytes) or
// in a typed list: narrow types, bool and 16-bit floats as int32, uint32 as uint64, all others as themselves.
func (r reader) tensor(p *onnxpb.TensorProto) (*Tensor, error) {
	t := &Tensor{Name: p.GetName(), Type: DType(p.GetDataType()), Dims: p.Dims, Extra: tensorExtra(p)}
	if err := r.data(t, p); err != nil {
		return nil, fmt.Errorf("%q: %w", t.Name, err)
	}
	return t, t.Check()
}

func (r reader) data(t *Tensor, p *onnxpb.TensorProto) (err error) {
	switch {
	case t.Type.Size() == 0:
		return fmt.Errorf("elements of type %v are not supported", t.Type)
	case p.Segment != nil:
		return errors.New("tensors in segments are not supported")
	case p.GetDataLocation() == onnxpb.TensorProto_EXTERNAL:
		t.Raw, err = r.external(t, p.ExternalData)
	default:
		t.Raw, err = tensorData(p, t.Type)
	}
	return err
}

// tensorData takes the elements from the one field that holds them.
func tensorData(p *onnxpb.TensorProto, t DType) ([]byte, error) {
	typed := len(p.FloatData) + len(p.Int32Data) + len(p.Int64Data) + len(p.DoubleData) + len(p.Uint64Data)
	if p.RawData != nil {
		if typed > 0 {
			return nil, errors.New("its data is given twice")
		}
		return p.RawData, nil
	}
	var raw []byte
	var used int
	var err error
	switch t {
	case Float:
		used = len(p.FloatData)
		raw = appendAll(p.FloatData, 4, func(b []byte, x float32) []byte { return binary.LittleEndian.AppendUint32(b, math.Float32bits(x)) })
	case Double:
		used = len(p.DoubleData)
		raw = appendAll(p.DoubleData, 8, func(b []byte, x float64) []byte { return binary.LittleEndian.AppendUint64(b, math.Float64bits(x)) })
	case Int64:
		used = len(p.Int64Data)
		raw = appendAll(p.Int64Data, 8, func(b []byte, x int64) []byte { return binary.LittleEndian.AppendUint64(b, uint64(x)) })
	case Uint64:
		used = len(p.Uint64Data)
		raw = appendAll(p.Uint64Data, 8, binary.LittleEndian.AppendUint64)
	case Uint32:
		used = len(p.Uint64Data)
		raw, err = narrow(p.Uint64Data, 4, 0, math.MaxUint32)
	default:
		used = len(p.Int32Data)
		low, high := int32Range(t)
		raw, err = narrow(p.Int32Data, t.Size(), low, high)
	}
	if err == nil && used != typed {
		err = fmt.Errorf("its data is not in the field for elements of type %v", t)
	}
	return raw, err
}

// int32Range bounds what one element of int32_data may be for a type that is stored there. Both 16-bit float types
// are stored as their bits.
func int32Range(t DType) (low, high int64) {
	switch t {
	case Bool:
		return 0, 1
	case Int8:
		return math.MinInt8, math.MaxInt8
	case Uint8:
		return 0, math.MaxUint8
	case Int16:
		return math.MinInt16, math.MaxInt16
	case Uint16, Float16, BFloat16:
		return 0, math.MaxUint16
	}
	return math.MinInt32, math.MaxInt32
}

func appendAll[T any](xs []T, size int, put func([]byte, T) []byte) []byte {
	raw := make([]byte, 0, size*len(xs))
	for _, x := range xs {
		raw = put(raw, x)
	}
	return raw
}

// narrow keeps the low bytes of each element, which must lie in [low, high].
func narrow[T int32 | uint64](xs []T, size int, low, high int64) ([]byte, error) {
	raw := make([]byte, 0, size*len(xs)+8)
	for i, x := range xs {
		if v := int64(x); v < low || v > high {
			return nil, fmt.Errorf("element %d is %d, outside [%d, %d]", i, x, low, high)
		}
		raw = binary.LittleEndian.AppendUint64(raw, uint64(x))[:len(raw)+size]
	}
	return raw, nil
}
