package onnx

import (
	"fmt"
	"math/bits"
)

// dtypes lists the name, as ONNX spells it, and the bytes of one element of every supported type.
var dtypes = map[DType]struct {
	name string
	size int
}{
	Float: {"float", 4}, Double: {"double", 8}, Float16: {"float16", 2}, BFloat16: {"bfloat16", 2},
	Int8: {"int8", 1}, Int16: {"int16", 2}, Int32: {"int32", 4}, Int64: {"int64", 8},
	Uint8: {"uint8", 1}, Uint16: {"uint16", 2}, Uint32: {"uint32", 4}, Uint64: {"uint64", 8},
	Bool: {"bool", 1}, String: {"string", 0},
}

// String is the type's name in ONNX's documents.
func (t DType) String() string {
	if t == Undefined {
		return "undefined"
	}
	if d, ok := dtypes[t]; ok {
		return d.name
	}
	return fmt.Sprintf("element type %d", int32(t))
}

// Size is the number of bytes of one element, 0 for types without a fixed one.
func (t DType) Size() int { return dtypes[t].size }

// IsFloat reports whether the type is one of the floating-point types.
func (t DType) IsFloat() bool { return t == Float || t == Double || t == Float16 || t == BFloat16 }

// IsInteger reports whether the type is one of the integer types; Bool is not.
func (t DType) IsInteger() bool { return t >= Uint8 && t <= Int64 || t == Uint32 || t == Uint64 }

// Elements is the number of elements of a tensor of the given dimensions.
// A negative dimension and a count beyond int64 are errors.
func Elements(dims []int64) (int64, error) {
	n := int64(1)
	empty := false
	for _, d := range dims {
		if d < 0 {
			return 0, fmt.Errorf("dimension %d in %d is negative", d, dims)
		}
		if d == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(uint64(n), uint64(d))
		if hi != 0 || lo > 1<<62 {
			return 0, fmt.Errorf("dimensions %d hold more elements than can be counted", dims)
		}
		n = int64(lo)
	}
	if empty {
		return 0, nil
	}
	return n, nil
}

// Check says what is wrong with the tensor: an unsupported type, impossible dimensions, or data of another length.
func (t *Tensor) Check() error {
	size := t.Type.Size()
	if size == 0 {
		return fmt.Errorf("tensor %q: elements of type %v are not supported", t.Name, t.Type)
	}
	n, err := Elements(t.Dims)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if have := int64(len(t.Raw)); have%int64(size) != 0 || have/int64(size) != n {
		return fmt.Errorf("tensor %q: %d bytes of data, want %d %v elements of shape %d", t.Name, have, n, t.Type, t.Dims)
	}
	return nil
}
