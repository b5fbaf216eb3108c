package onnx

import (
	"strings"
	"testing"
)

// lowerable is a graph with every operator that Lower writes otherwise.
func lowerable() *Model {
	g := &Graph{}
	b := NewBuilder(g)
	x := b.Input("x", Float, "rows", 4)
	w := b.Const(Floats([]int64{4}, 1, 2, 3, 4))
	y := b.Op("LayerNormalization", []string{x, w, w}, FloatAttr("epsilon", 1e-5))
	y = b.Op("LayerNormalization", []string{y, w})
	y = b.Op("Gelu", []string{y})
	halves := b.Node("", "Split", []string{y}, 2, IntAttr("axis", 1), IntAttr("num_outputs", 2))
	y = b.Op("ReduceMean", []string{b.Op("Add", halves), b.Ints(1)}, IntAttr("keepdims", 0))
	b.Named("y", "Neg", []string{y})
	b.Output("y", Float, "rows")
	return NewModel(g)
}

// TestLower: no operator is left that the set does not have. That the numbers stay is for the tests that run graphs.
func TestLower(t *testing.T) {
	since := map[string]int64{"Gelu": 20, "LayerNormalization": 17}
	for opset := int64(OldestOpset); opset <= NewestOpset; opset++ {
		m, err := Lower(lowerable(), opset)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Check(); err != nil || m.Opset("") != opset {
			t.Errorf("opset %d: %v, %d", opset, err, m.Opset(""))
		}
		for _, n := range m.Graph.Nodes {
			if since[n.Op] > opset {
				t.Errorf("opset %d: %v is left", opset, n)
			}
			if before18 := n.Attr("axes") != nil; n.Op == "ReduceMean" && before18 != (opset < 18) {
				t.Errorf("opset %d: the axes of %v are an attribute: %v", opset, n, before18)
			}
			if n.Op == "Split" && (n.Attr("num_outputs") != nil) != (opset >= 18) {
				t.Errorf("opset %d: %v has %v", opset, n, n.Attrs)
			}
		}
		if info, err := Infer(m); err != nil || info["y"].Shape.String() != "[rows]" {
			t.Errorf("opset %d: y is %v (%v)", opset, info["y"].Shape, err)
		}
	}
}

func TestLowerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		opset int64
		edit  func(*Node)
		want  string
	}{
		"oldest":        {13, func(*Node) {}, "opset 13"},
		"newest":        {NewestOpset + 1, func(*Node) {}, "want 14 to 25"},
		"tanh":          {17, func(n *Node) { n.Attrs = append(n.Attrs, StringAttr("approximate", "tanh")) }, "tanh"},
		"other axis":    {16, func(n *Node) { n.Attrs = append(n.Attrs, IntAttr("axis", 0)) }, "last dimension"},
		"computed axes": {17, func(n *Node) { n.Inputs[len(n.Inputs)-1] = "x" }, "axes are computed"},
	} {
		t.Run(name, func(t *testing.T) {
			m := lowerable()
			kind := map[string]string{"tanh": "Gelu", "other axis": "LayerNormalization", "computed axes": "ReduceMean"}[name]
			for _, n := range m.Graph.Nodes {
				if n.Op == kind {
					c.edit(n)
				}
			}
			if _, err := Lower(m, c.opset); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}
