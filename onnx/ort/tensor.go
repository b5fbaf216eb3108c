package ort

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"unsafe"

	"metalora/onnx"

	engine "github.com/yalue/onnxruntime_go"
)

// Element is what a tensor can hold.
type Element interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~bool
}

// Tensor is a Go slice, dense and row-major, that the engine reads and writes in place.
//
// Its memory stays where it is until Close, which may be called during a run: the run ends first. A tensor that is
// forgotten is closed when the garbage collector finds it. Runs may share a tensor that they only read.
type Tensor struct {
	shape   []int
	dtype   onnx.DType
	data    unsafe.Pointer // the slice's first element; nil where there is none
	count   int
	hold    *hold
	cleanup runtime.Cleanup
}

// tensors counts those whose memory the engine may still use.
var tensors atomic.Int64

// NewTensor makes a tensor over data, of which it needs exactly as many elements as the shape has. A shape of no
// dimensions is a scalar's; a dimension of 0 is allowed. The slice must not be used by Go while a run writes to it.
func NewTensor[T Element](shape []int, data []T) (*Tensor, error) {
	return newTensor(shape, data, typeOf[T]())
}

// NewBools makes a Bool tensor over bytes, each 0 (false) or 1 (true), which a mask generator fills faster than bools.
func NewBools(shape []int, data []uint8) (*Tensor, error) {
	return newTensor(shape, unsafe.Slice((*bool)(unsafe.Pointer(unsafe.SliceData(data))), len(data)), onnx.Bool)
}

func newTensor[T Element](shape []int, data []T, dtype onnx.DType) (*Tensor, error) {
	if err := Start(""); err != nil {
		return nil, err
	}
	n, err := size(shape)
	if err != nil {
		return nil, fmt.Errorf("making a tensor of shape %v: %w", shape, err)
	}
	if n != len(data) {
		return nil, fmt.Errorf("making a tensor of shape %v: it has %d elements, the slice %d", shape, n, len(data))
	}
	if len(shape) == 0 {
		return wrap(shape, data, dtype, &hold{scalar: scalarOf(data)}), nil
	}
	h := &hold{}
	if n > 0 {
		h.pinner.Pin(&data[0])
	}
	value, err := engine.NewTensor(dims(shape), data)
	if err != nil {
		h.pinner.Unpin()
		return nil, fmt.Errorf("making a tensor of shape %v: %w", shape, err)
	}
	h.value = value
	return wrap(shape, data, dtype, h), nil
}

func wrap[T Element](shape []int, data []T, dtype onnx.DType, h *hold) *Tensor {
	t := &Tensor{shape: slices.Clone(shape), dtype: dtype, count: len(data), hold: h}
	tensors.Add(1)
	if len(data) > 0 {
		t.data = unsafe.Pointer(&data[0])
	}
	t.cleanup = runtime.AddCleanup(t, (*hold).close, h)
	return t
}

// Shape returns the dimensions, outermost first; a scalar has none.
func (t *Tensor) Shape() []int { return slices.Clone(t.shape) }

// Type returns the element type.
func (t *Tensor) Type() onnx.DType { return t.dtype }

// Close gives the memory back to Go. Closing twice does nothing.
func (t *Tensor) Close() error {
	t.cleanup.Stop()
	t.hold.close()
	return nil
}

// Data returns the slice under a tensor, valid until Close. It is nil where the tensor is closed or holds another
// type than T; a Bool tensor can be read as uint8.
func Data[T Element](t *Tensor) []T {
	want := typeOf[T]()
	if t == nil || t.hold.isClosed() || (want != t.dtype && (want != onnx.Uint8 || t.dtype != onnx.Bool)) {
		return nil
	}
	if t.count == 0 {
		return []T{}
	}
	return unsafe.Slice((*T)(t.data), t.count)
}

// adopt makes a tensor of a value that the binding has copied to Go memory.
func adopt(value engine.Value) (*Tensor, error) {
	switch v := value.(type) {
	case *engine.Tensor[float32]:
		return adoptAs(v), nil
	case *engine.Tensor[float64]:
		return adoptAs(v), nil
	case *engine.Tensor[int8]:
		return adoptAs(v), nil
	case *engine.Tensor[int16]:
		return adoptAs(v), nil
	case *engine.Tensor[int32]:
		return adoptAs(v), nil
	case *engine.Tensor[int64]:
		return adoptAs(v), nil
	case *engine.Tensor[uint8]:
		return adoptAs(v), nil
	case *engine.Tensor[uint16]:
		return adoptAs(v), nil
	case *engine.Tensor[uint32]:
		return adoptAs(v), nil
	case *engine.Tensor[uint64]:
		return adoptAs(v), nil
	case *engine.Tensor[bool]:
		return adoptAs(v), nil
	}
	return nil, fmt.Errorf("the engine returned a %T, which has no Go element type", value)
}

func adoptAs[T Element](v *engine.Tensor[T]) *Tensor {
	h, data := &hold{value: v}, v.GetData()
	if len(data) > 0 {
		h.pinner.Pin(&data[0])
	}
	var shape []int
	for _, d := range v.GetShape() {
		shape = append(shape, int(d))
	}
	return wrap(shape, data, typeOf[T](), h)
}

// typeOf is the ONNX type of a Go type.
func typeOf[T Element]() onnx.DType {
	switch reflect.TypeFor[T]().Kind() {
	case reflect.Float32:
		return onnx.Float
	case reflect.Float64:
		return onnx.Double
	case reflect.Int8:
		return onnx.Int8
	case reflect.Int16:
		return onnx.Int16
	case reflect.Int32:
		return onnx.Int32
	case reflect.Int64:
		return onnx.Int64
	case reflect.Uint8:
		return onnx.Uint8
	case reflect.Uint16:
		return onnx.Uint16
	case reflect.Uint32:
		return onnx.Uint32
	case reflect.Uint64:
		return onnx.Uint64
	}
	return onnx.Bool
}

// size is the number of elements of a shape.
func size(shape []int) (int, error) {
	n, zero := 1, false
	for _, d := range shape {
		if d < 0 {
			return 0, errors.New("a dimension is negative")
		}
		zero = zero || d == 0
	}
	for _, d := range shape {
		if zero {
			return 0, nil
		}
		if n > maxElements/d {
			return 0, errors.New("its size overflows")
		}
		n *= d
	}
	return n, nil
}

// maxElements keeps the size in bytes of the widest element within an int.
const maxElements = int(^uint(0)>>1) / 8

func dims(shape []int) engine.Shape {
	s := make(engine.Shape, len(shape))
	for i, d := range shape {
		s[i] = int64(d)
	}
	return s
}
