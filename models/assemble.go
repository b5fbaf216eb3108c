package models

import (
	"encoding/binary"
	"fmt"
	"math"

	"metalora/models/safetensors"
	"metalora/onnx"
)

// Fill makes a plain model of a graph whose weights are inputs: each of the tensors becomes the initializer of its name,
// and those in defaults the values of inputs that stay and may be fed. A graph's other inputs stay as they are.
func Fill(graph *onnx.Model, tensors, defaults safetensors.Tensors) (*onnx.Model, error) {
	m := graph.Clone()
	g := m.Graph
	g.Inputs, m.Metadata = nil, nil // the metadata describe the graph to metalora alone
	for _, v := range graph.Graph.Inputs {
		x, fixed := tensors[v.Name]
		d, fed := defaults[v.Name]
		if !fixed {
			g.Inputs = append(g.Inputs, v)
			x = d
		}
		if !fixed && !fed {
			continue
		}
		dims := make([]int64, len(x.Shape))
		for i, size := range x.Shape {
			dims[i] = int64(size)
			if want := v.Shape[i].Size; want >= 0 && want != dims[i] {
				return nil, fmt.Errorf("tensor %s has shape %v, the graph reads %v", v.Name, x.Shape, v.Shape)
			}
		}
		g.Initializers = append(g.Initializers, &onnx.Tensor{Name: v.Name, Type: onnx.Float, Dims: dims, Raw: encoded(x.Data)})
	}
	return m, m.Check()
}

func encoded(xs []float32) []byte {
	raw := make([]byte, 0, 4*len(xs))
	for _, x := range xs {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return raw
}
