package ort

import (
	"fmt"

	"metalora/onnx"
)

// lethal is an error for a node over which ONNX Runtime 1.30 reads memory that is not there and so ends the process: it takes an input
// for given that may be absent, or that is named as absent in place of being left out.
func lethal(m *onnx.Model) error {
	for _, n := range m.Graph.Nodes {
		switch {
		case n.Domain == "com.microsoft" && n.Op == "Attention" && n.Input(2) == "":
			return fmt.Errorf("%v has no bias, over which ONNX Runtime would crash", n)
		case n.Domain == "" && n.Op == "LayerNormalization" && len(n.Inputs) == 3 && n.Input(2) == "":
			return fmt.Errorf("%v has an empty name for its bias, over which ONNX Runtime would crash: leave it out", n)
		}
	}
	return nil
}
