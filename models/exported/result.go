package exported

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"metalora/models/safetensors"
	"metalora/onnx"
)

// result declares the weights as inputs, in the order in which the graph reads them, and takes their values out.
func (r *rewriter) result() (*Model, error) {
	g := r.model.Graph
	m := &Model{Graph: r.model, Weights: safetensors.Tensors{}, Notes: r.notes}
	values := map[string]*onnx.Tensor{} // by weight's name
	names := map[string]*Name{}
	var constants []*onnx.Tensor
	for _, t := range g.Initializers {
		if w := r.names.weights[t.Name]; w != nil {
			values[w.Name], names[w.Name] = t, w
		} else {
			constants = append(constants, t)
		}
	}
	g.Initializers = constants
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			if _, done := m.Weights[v]; done || names[v] == nil {
				continue
			}
			if err := m.take(values[v], names[v], slices.Contains(r.drawn, names[v].File)); err != nil {
				return nil, fmt.Errorf("weight %s: %w", names[v].File, err)
			}
		}
	}
	if shared := m.shared(); len(shared) > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d tensors are read in several places, and change as one: %s", len(shared), strings.Join(shared, ", ")))
	}
	if len(m.Order) == 0 {
		return nil, fmt.Errorf("none of its constants is a weight")
	}
	m.Graph.Producer, m.Graph.Metadata, m.Graph.Extra = "metalora", nil, nil
	m.Graph.DefineDim("tokens", "length*rows")
	return m, m.Graph.Check()
}

// shared lists the weights that several nodes read: tied ones, or equal ones that the exporter kept once.
func (m *Model) shared() (names []string) {
	reads := map[string]int{}
	for _, n := range m.Graph.Graph.Nodes {
		for _, v := range n.Inputs {
			reads[v]++
		}
	}
	for _, name := range m.Order {
		if reads[name] > 1 {
			names = append(names, name)
		}
	}
	return names
}

// take adds one weight; one that is to be drawn comes without values, and has no name in the file.
func (m *Model) take(t *onnx.Tensor, name *Name, drawn bool) error {
	shape, err := asInts(t.Dims)
	if err != nil {
		return err
	}
	if len(t.Raw) == 0 {
		return fmt.Errorf("its shape %v leaves it empty", shape)
	}
	data := floats(t)
	if name.Transposed {
		shape[0], shape[1] = shape[1], shape[0]
		data = transposed(t)
	}
	for _, x := range data {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return fmt.Errorf("it holds %v", x)
		}
	}
	dims := make([]any, len(shape))
	for i, d := range shape {
		dims[i] = d
	}
	m.Graph.Graph.Inputs = append(m.Graph.Graph.Inputs, onnx.ValueInfo{Name: name.Name, Type: onnx.Float, Shape: onnx.Dims(dims...)})
	m.Order = append(m.Order, name.Name)
	if drawn {
		m.Weights[name.Name] = safetensors.Tensor{Shape: shape}
		return nil
	}
	m.Weights[name.Name] = safetensors.Tensor{Shape: shape, Data: data}
	m.Names = append(m.Names, *name)
	return nil
}
