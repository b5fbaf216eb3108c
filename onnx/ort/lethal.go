package ort

import (
	"fmt"

	"metalora/onnx"
)

// lethal is an error for a node over which ONNX Runtime 1.30 reads memory that is not there and so ends the process: it takes an input
// for given that is absent, or that has an empty name. [onnx.Model.Marshal] leaves such names out where they come last, so that a
// model which it wrote has none.
func lethal(m *onnx.Model, marshalled bool) error {
	for _, n := range m.Graph.Nodes {
		switch {
		case n.Domain == "com.microsoft" && n.Op == "Attention" && n.Input(2) == "":
			return fmt.Errorf("%v has no bias, over which ONNX Runtime would crash", n)
		case n.Domain == "" && n.Op == "LayerNormalization" && len(n.Inputs) > 2 && n.Input(2) == "" && !marshalled:
			return fmt.Errorf("%v has an empty name for its bias, over which ONNX Runtime would crash: leave it out", n)
		}
	}
	return nil
}
