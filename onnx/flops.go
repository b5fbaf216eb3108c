package onnx

import (
	"fmt"
	"maps"
)

// Flops counts the floating-point operations of a model's matrix products, 2·m·n·k each, where the symbols of its
// inputs' shapes have the given sizes. Everything else a graph computes is small beside them and is not counted.
func Flops(m *Model, sizes map[string]int64) (int64, error) {
	fixed := m.Clone()
	for i, v := range fixed.Graph.Inputs {
		fixed.Graph.Inputs[i].Shape = fix(v.Shape, sizes)
	}
	fixed.Graph.Outputs = nil
	fixed.Metadata = map[string]string{}
	values, err := Infer(fixed)
	if err != nil {
		return 0, fmt.Errorf("counting operations: %w", err)
	}
	maps.DeleteFunc(values, func(_ string, v ValueInfo) bool { return v.Shape == nil })
	total := int64(0)
	for _, n := range m.Graph.Nodes {
		count, err := productFlops(n, values)
		if err != nil {
			return 0, err
		}
		total += count
	}
	return total, nil
}

func fix(s Shape, sizes map[string]int64) Shape {
	fixed := make(Shape, len(s))
	for i, d := range s {
		fixed[i] = d
		if size, ok := sizes[d.Name]; ok && d.Size < 0 {
			fixed[i] = Dim{Size: size}
		}
	}
	return fixed
}

// productFlops is 2·k for each element of a product's output, k being the length of the sums.
func productFlops(n *Node, values map[string]ValueInfo) (int64, error) {
	inner := 0 // the axis of the first input that is summed over, from its end
	switch n.Op {
	case "Gemm", "FusedGemm", "FusedMatMul":
		inner = 1 + int(n.Int("transA", 0))
	case "MatMul":
		inner = 1
	default:
		return 0, nil
	}
	a, y := values[n.Input(0)].Shape, values[n.Output(0)].Shape
	if len(a) < inner {
		return 0, fmt.Errorf("counting operations: node %s: the shape of %s is not known", n.Name, n.Input(0))
	}
	count := 2 * a[len(a)-inner].Size
	for _, d := range y {
		count *= d.Size
		if d.Size < 0 {
			return 0, fmt.Errorf("counting operations: node %s: the shape %v of %s is not known", n.Name, y, n.Output(0))
		}
	}
	return count, nil
}
