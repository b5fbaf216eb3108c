// Package exported brings transformer encoders in .onnx files, whoever exported them, into the one form that trains.
//
// Exporters fold, transpose, rename and fuse. [Read] undoes that in small passes over the graph, each of which leaves a
// graph that computes the same: constants become initializers, 16-bit floats 32-bit ones, fused operators plain ones, each
// linear layer a single Gemm with PyTorch's weight layout, and weights inputs under Hugging Face's names. Nothing runs here.
package exported

import (
	"fmt"
	"path/filepath"
	"slices"

	"metalora/models/safetensors"
	"metalora/onnx"
)

// Model is an exported encoder in the form that trains.
type Model struct {
	// Graph reads input_ids and attention_mask, int64 [rows, length], token_type_ids where the export has it, and every
	// weight under its name; it gives logits [rows, labels].
	Graph   *onnx.Model
	Weights safetensors.Tensors // those of a head that the file lacks have a shape and no values
	Order   []string            // the weights' names in the order in which the graph reads them
	Names   []Name              // what each weight is called in the file, in the same order; a head that the file lacks is not in it
	Notes   []string            // what a person should know of how the file was understood
}

// Read reads an .onnx file. An error names the file and, where a node is at fault, the node.
func Read(path string) (*Model, error) {
	m, err := onnx.ReadFile(path)
	if err != nil {
		return nil, err
	}
	x, err := Open(m)
	if err != nil {
		return nil, fmt.Errorf("understanding the exported model %s: %w", path, err)
	}
	return x, nil
}

// Open is [Read] for a model in memory, which it leaves as it is.
func Open(m *onnx.Model) (*Model, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if err := refuseQuantised(m); err != nil {
		return nil, err
	}
	r := &rewriter{model: m.Clone()}
	for _, pass := range []func() error{
		r.constants, r.widen, r.lift, r.surface, r.prune, r.unfuse, r.sdpa, r.norms, r.gelus, r.linears, r.prune, r.weights,
	} {
		if err := pass(); err != nil {
			return nil, err
		}
	}
	x, err := r.result()
	if err != nil {
		return nil, err
	}
	r = &rewriter{model: x.Graph}
	return x, r.firsts()
}

// Tensors are the weights that have values: all but those of a head that the file lacks.
func (m *Model) Tensors() safetensors.Tensors {
	there := safetensors.Tensors{}
	for name, w := range m.Weights {
		if w.Data != nil {
			there[name] = w
		}
	}
	return there
}

// Guesses lists the names that nothing in the file confirms.
func (m *Model) Guesses() (names []string) {
	for _, n := range m.Names {
		if n.Guess {
			names = append(names, n.Name)
		}
	}
	return names
}

// WithoutValues is the model with its weights' names and shapes alone.
func (m *Model) WithoutValues() *Model {
	c := *m
	c.Weights = safetensors.Tensors{}
	for name, w := range m.Weights {
		c.Weights[name] = safetensors.Tensor{Shape: w.Shape}
	}
	return &c
}

// maxElements bounds a weight of a graph whose values lie elsewhere: 1 TB of float32.
const maxElements = 1 << 38

// ReadGraph reads a graph in the form that trains, as [Model].Graph is, from a file in a folder: the weights are inputs and
// have no values.
func ReadGraph(folder, name string) (*Model, error) {
	path := filepath.Join(folder, name)
	g, err := onnx.ReadIn(folder, name)
	if err != nil {
		return nil, err
	}
	if err := g.Check(); err != nil {
		return nil, fmt.Errorf("reading the graph %s: %w", path, err)
	}
	m := &Model{Graph: g, Weights: safetensors.Tensors{}}
	for _, v := range g.Graph.Inputs {
		if slices.Contains([]string{inputIDs, attentionMask, tokenTypes}, v.Name) {
			continue
		}
		shape := make([]int, len(v.Shape))
		for i, d := range v.Shape {
			shape[i] = int(d.Size) // -1 where it is free
		}
		if n, err := safetensors.Elements(shape); err != nil || n > maxElements || v.Type != onnx.Float {
			return nil, fmt.Errorf("reading the graph %s: input %q, %v %v, is no weight", path, v.Name, v.Type, v.Shape)
		}
		m.Order, m.Weights[v.Name] = append(m.Order, v.Name), safetensors.Tensor{Shape: shape}
	}
	return m, nil
}
