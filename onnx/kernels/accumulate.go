package kernels

import (
	"metalora/onnx"
)

// Into is the name of the input that Accumulate adds for an output.
func Into(output string) string { return "into::" + output }

// Accumulate lets a lowered model add to what the caller already has: each of the outputs that a product of ours makes, for
// nobody else in the graph, gets an input [Into] of its own type and shape, and gives the sum of both. The two may be the same
// memory. It changes the model, and tells which outputs they are: the others are as before.
func Accumulate(m *onnx.Model, outputs []string) map[string]bool {
	if m.Opset(Domain) == 0 {
		return nil
	}
	infos, made, read := map[string]onnx.ValueInfo{}, map[string]*onnx.Node{}, map[string]bool{}
	for _, o := range m.Graph.Outputs {
		infos[o.Name] = o
	}
	for _, n := range m.Graph.Nodes {
		for _, o := range n.Outputs {
			made[o] = n
		}
		for _, i := range n.Inputs {
			read[i] = true
		}
	}
	sums := map[string]bool{}
	for _, o := range outputs {
		n, info := made[o], infos[o]
		if n == nil || n.Domain != Domain || n.Op != "Gemm" || n.Input(addend) != "" || read[o] || info.Shape == nil {
			continue
		}
		n.Inputs[addend] = Into(o)
		m.Graph.Inputs = append(m.Graph.Inputs, onnx.ValueInfo{Name: Into(o), Type: info.Type, Shape: info.Shape})
		sums[o] = true
	}
	return sums
}
