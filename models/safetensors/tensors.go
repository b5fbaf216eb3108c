// Package safetensors reads and writes the safetensors file format.
//
// A file is a little-endian uint64, a JSON header of that many bytes that names each tensor with its type, shape and
// place, and one buffer that the tensors fill without a hole. A reader that has checked the header against the size
// of the file therefore never takes more memory than the file has bytes (twice that for 16-bit floats), whatever the
// header claims. The format is specified at https://huggingface.co/docs/safetensors.
package safetensors

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Tensor is a dense float32 tensor, row-major. The product of Shape is len(Data); a scalar's Shape is empty.
type Tensor struct {
	Shape []int
	Data  []float32
}

// Tensors holds tensors by name.
type Tensors map[string]Tensor

// Names lists the names in byte order.
func (t Tensors) Names() []string { return slices.Sorted(maps.Keys(t)) }

// Clone copies names, shapes and data.
func (t Tensors) Clone() Tensors {
	c := make(Tensors, len(t))
	for name, x := range t {
		c[name] = Tensor{slices.Clone(x.Shape), slices.Clone(x.Data)}
	}
	return c
}

// Elements is the product of a shape, or an error where it is negative or overflows.
func Elements(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if d != 0 && n > math.MaxInt/d {
			return 0, fmt.Errorf("shape %v has more elements than can be counted", shape)
		}
		n *= d
	}
	return n, nil
}

// notFinite returns the index of the first element that is NaN or infinite, or -1.
func notFinite(xs []float32) int {
	for i, x := range xs {
		if x-x != 0 { // NaN for both, and NaN differs from everything
			return i
		}
	}
	return -1
}
