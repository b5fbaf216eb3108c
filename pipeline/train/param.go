package train

import (
	"fmt"
	"maps"
	"slices"

	"metalora/models"
	"metalora/models/safetensors"
	"metalora/onnx/ort"
)

// Param is one weight and what training keeps beside it.
type Param struct {
	Name  string
	Shape []int
	Value []float32 // row-major; the engine reads it in place
	Pad   int       // the row that never has a gradient (nn.Embedding's padding_idx), or -1

	tensor *ort.Tensor // over Value
	grad   []float32   // sum over the turns of the current step; nil where the weight is frozen
	over   *ort.Tensor // over grad, where the engine adds to it in place
	m, v   []float32   // AdamW's moments
	steps  int         // AdamW's own count of this weight's steps
}

// Set is a group of weights that come and go together: the base model's, or one task's adapter and head.
type Set struct {
	params map[string]*Param
}

// NewSet makes a set over the given tensors; their slices are used, not copied. pad tells the rows without gradient.
func NewSet(tensors safetensors.Tensors, pad map[string]int) (*Set, error) {
	s := &Set{params: map[string]*Param{}}
	for _, name := range tensors.Names() {
		t := tensors[name]
		p := &Param{Name: name, Shape: t.Shape, Value: t.Data, Pad: -1}
		if row, ok := pad[name]; ok {
			p.Pad = row
		}
		tensor, err := ort.NewTensor(t.Shape, t.Data)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("binding %s: %w", name, err)
		}
		p.tensor = tensor
		s.params[name] = p
	}
	return s, nil
}

// Close lets go of the engine's tensors. The slices stay valid.
func (s *Set) Close() {
	for _, p := range s.params {
		p.tensor.Close()
		if p.over != nil {
			p.over.Close()
		}
	}
}

// Names lists the weights in order of their names.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.params)) }

// Tensors are the weights as they are now, without a copy.
func (s *Set) Tensors() safetensors.Tensors {
	t := safetensors.Tensors{}
	for name, p := range s.params {
		t[name] = safetensors.Tensor{Shape: p.Shape, Data: p.Value}
	}
	return t
}

// find looks the weight up in the sets, first one first.
func find(sets []*Set, name string) *Param {
	for _, s := range sets {
		if p, ok := s.params[name]; ok {
			return p
		}
	}
	return nil
}

// gradient returns the accumulator of the weight's gradient, zero at first.
func (p *Param) gradient() []float32 {
	if p.grad == nil {
		p.grad = make([]float32, len(p.Value))
	}
	return p.grad
}

// sum returns the accumulator as the engine reads and writes it.
func (p *Param) sum() (*ort.Tensor, error) {
	if p.over == nil {
		t, err := ort.NewTensor(p.Shape, p.gradient())
		if err != nil {
			return nil, fmt.Errorf("binding the gradient of %s: %w", p.Name, err)
		}
		p.over = t
	}
	return p.over, nil
}

// PadRows tells which weights of a model have a row without gradient, and which row.
func PadRows(a models.Architecture) map[string]int {
	rows := map[string]int{}
	for _, p := range a.Parameters() {
		if p.Pad >= 0 {
			rows[p.Name] = p.Pad
		}
	}
	return rows
}
