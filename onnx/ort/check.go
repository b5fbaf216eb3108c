package ort

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unsafe"

	"metalora/onnx"
	"metalora/onnx/kernels"
)

// check compares the tensors of a run with what the model declares, so that a mistake is told by the value's name and
// before any work. Sizes that the model names by a symbol must agree between inputs.
func (s *Session) check(feeds, fetches map[string]*Tensor) error {
	if err := unknown(feeds, s.inputs, "input"); err != nil {
		return err
	}
	if err := unknown(fetches, s.outputs, "output"); err != nil {
		return err
	}
	symbols := map[string]symbol{}
	for _, v := range s.inputs {
		t := feeds[v.Name]
		if t == nil {
			return fmt.Errorf("input %q is not fed", v.Name)
		}
		if err := fits(t, v, symbols); err != nil {
			return fmt.Errorf("input %q: %w", v.Name, err)
		}
		bindSymbols(t, v, symbols)
	}
	for _, v := range s.outputs {
		t := fetches[v.Name]
		if t == nil {
			if err := allocatable(v); err != nil {
				return fmt.Errorf("output %q: %w", v.Name, err)
			}
			continue
		}
		if err := fits(t, v, symbols); err != nil {
			return fmt.Errorf("output %q: %w", v.Name, err)
		}
	}
	return aliased(feeds, fetches)
}

// symbol is the size that an input gave to a named dimension.
type symbol struct {
	size  int
	input string
}

func bindSymbols(t *Tensor, v onnx.ValueInfo, symbols map[string]symbol) {
	for i, d := range v.Shape {
		if _, bound := symbols[d.Name]; !bound && d.Name != "" && d.Size < 0 {
			symbols[d.Name] = symbol{t.shape[i], v.Name}
		}
	}
}

// unknown refuses names that the model does not have.
func unknown(tensors map[string]*Tensor, values []onnx.ValueInfo, kind string) error {
	known := map[string]bool{}
	for _, v := range values {
		known[v.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		if !known[name] {
			return fmt.Errorf("the model has no %s %q; it has %s", kind, name, some(names(values)))
		}
	}
	return nil
}

// some keeps a list of names short: a model has hundreds of weights.
func some(list []string) string {
	const most = 8
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}

// fits compares a tensor with a declaration, of which any part may be missing.
func fits(t *Tensor, v onnx.ValueInfo, symbols map[string]symbol) error {
	if v.Type != onnx.Undefined && t.dtype != v.Type {
		return fmt.Errorf("element type %s, want %s", t.dtype, v.Type)
	}
	if v.Shape == nil {
		return nil
	}
	if len(t.shape) != len(v.Shape) {
		return fmt.Errorf("shape %v, want %s", t.shape, write(v.Shape))
	}
	for i, d := range v.Shape {
		if d.Size >= 0 && int(d.Size) != t.shape[i] {
			return fmt.Errorf("shape %v, want %s", t.shape, write(v.Shape))
		}
		if s, ok := symbols[d.Name]; ok && d.Size < 0 && s.size != t.shape[i] {
			return fmt.Errorf("shape %v, want %s, where %s is %d by input %q", t.shape, write(v.Shape), d.Name, s.size, s.input)
		}
	}
	return nil
}

// allocatable refuses the outputs that the binding cannot turn into Go slices.
func allocatable(v onnx.ValueInfo) error {
	switch v.Type {
	case onnx.Undefined, onnx.Float, onnx.Double, onnx.Int8, onnx.Int16, onnx.Int32, onnx.Int64,
		onnx.Uint8, onnx.Uint16, onnx.Uint32, onnx.Uint64, onnx.Bool:
		return nil
	}
	return fmt.Errorf("element type %s has no Go type; open the session without this output", v.Type)
}

// aliased refuses to write to memory that the same run reads or writes elsewhere, but for sums that are made in place (see
// [kernels.Accumulate]).
func aliased(feeds, fetches map[string]*Tensor) error {
	used := map[unsafe.Pointer]string{}
	for name, t := range feeds {
		used[t.data] = name
	}
	delete(used, nil)
	for _, name := range slices.Sorted(maps.Keys(fetches)) {
		t := fetches[name]
		if t == nil || t.data == nil {
			continue
		}
		if other, ok := used[t.data]; ok && other != kernels.Into(name) {
			return fmt.Errorf("output %q: its memory is also that of %q", name, other)
		}
		used[t.data] = name
	}
	return nil
}

// write prints a declared shape: sizes, symbols, and ? where nothing is known.
func write(shape onnx.Shape) string {
	var parts []string
	for _, d := range shape {
		switch {
		case d.Size >= 0:
			parts = append(parts, fmt.Sprint(d.Size))
		case d.Name != "":
			parts = append(parts, d.Name)
		default:
			parts = append(parts, "?")
		}
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// newScalar allocates a tensor of rank 0.
func newScalar(t onnx.DType) (*Tensor, error) {
	switch t {
	case onnx.Float:
		return NewTensor(nil, make([]float32, 1))
	case onnx.Double:
		return NewTensor(nil, make([]float64, 1))
	case onnx.Int32:
		return NewTensor(nil, make([]int32, 1))
	case onnx.Int64:
		return NewTensor(nil, make([]int64, 1))
	case onnx.Bool:
		return NewTensor(nil, make([]bool, 1))
	}
	return nil, errors.New("a scalar of element type " + t.String() + " cannot be allocated; fetch into a tensor")
}
