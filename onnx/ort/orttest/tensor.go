// Package orttest makes tensors for tests.
package orttest

import (
	"testing"

	"metalora/onnx/ort"
)

// Tensor is a tensor of its own memory until the test ends.
func Tensor[T ort.Element](t testing.TB, shape []int, data []T) *ort.Tensor {
	t.Helper()
	x, err := ort.NewTensor(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}
