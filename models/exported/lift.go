package exported

import (
	"fmt"
	"slices"

	"metalora/onnx"
)

// shifting are operators that mean something else in a later operator set; a graph with one of them keeps its own.
var shifting = []string{"Resize", "Upsample", "GridSample", "RoiAlign", "GroupNormalization", "DFT"}

// reductions take their axes as an attribute up to opset 17 and as an input since (ReduceSum since 13).
var reductions = []string{"ReduceMax", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
	"ReduceLogSumExp", "ReduceSumSquare"}

// lift brings an older graph to the operator set of metalora's own graphs, where LayerNormalization and Gelu are operators.
func (r *rewriter) lift() error {
	m := r.model
	const oldest = 11
	if v := m.Opset(""); v < oldest {
		return fmt.Errorf("it is written in operator set %d; the oldest that is supported is %d", v, oldest)
	}
	lifted, err := onnx.Lift13(m)
	if err != nil {
		return err
	}
	r.model, m = lifted, lifted
	if m.Opset("") >= onnx.DefaultOpset {
		return nil
	}
	for _, n := range m.Graph.Nodes {
		if n.Domain == "" && slices.Contains(shifting, n.Op) {
			return nil
		}
	}
	if m.Opset("") < 18 {
		r.replace(to18)
	}
	m.Opsets[""] = onnx.DefaultOpset
	m.IRVersion = max(m.IRVersion, onnx.DefaultIRVersion)
	return nil
}

// to18 appends n in the form of opset 18.
func to18(b *onnx.Builder, n *onnx.Node) {
	c := *n
	b.Graph.Nodes = append(b.Graph.Nodes, &c)
	switch {
	case n.Domain != "":
	case slices.Contains(reductions, n.Op) && n.Attr("axes") != nil:
		c.Inputs = []string{n.Input(0), b.Ints(n.Ints("axes")...)}
		c.Attrs = without(n.Attrs, "axes")
	case n.Op == "Split" && n.Input(1) == "" && n.Attr("num_outputs") == nil:
		c.Attrs = append(slices.Clone(n.Attrs), onnx.IntAttr("num_outputs", int64(len(n.Outputs))))
	}
}

func without(attrs []onnx.Attr, name string) []onnx.Attr {
	return slices.DeleteFunc(slices.Clone(attrs), func(a onnx.Attr) bool { return a.Name == name })
}
