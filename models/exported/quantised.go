package exported

import (
	"fmt"
	"slices"
	"strings"

	"metalora/onnx"
)

// quantised are the operators of graphs whose weights or activations are integers. Rounding has no gradient, and the weights
// that training would change are not there.
var quantised = []string{
	"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv",
	"DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QAttention", "QEmbedLayerNormalization", "QGemm", "QLinearAdd",
	"QLinearMul", "MatMulNBits", "MatMulBnb4", "DequantizeBFP", "QOrderedMatMul", "GatherBlockQuantized",
}

// maxNamed bounds how many nodes an error names.
const maxNamed = 3

// Quantised lists the nodes that make a graph a quantised one.
func Quantised(m *onnx.Model) []*onnx.Node {
	var found []*onnx.Node
	for _, n := range m.Graph.Nodes {
		if slices.Contains(quantised, n.Op) {
			found = append(found, n)
		}
	}
	return found
}

// refuseQuantised names them.
func refuseQuantised(m *onnx.Model) error {
	var found []string
	for _, n := range Quantised(m) {
		found = append(found, n.String())
	}
	if len(found) == 0 {
		return nil
	}
	more := ""
	if len(found) > maxNamed {
		more = fmt.Sprintf(" and %d more", len(found)-maxNamed)
		found = found[:maxNamed]
	}
	return fmt.Errorf("it is quantised, and rounded weights cannot be trained; export it with float weights: %s%s", strings.Join(found, ", "), more)
}
