package bench

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"metalora/onnx"
	"metalora/onnx/kernels"
)

// TestProfile: the operators' time lies inside the engine's and the engine's inside the turn's; the parts hold the same time
// as the operators; the products are those that the graph counts; a step with an adapter has a part of its own.
func TestProfile(t *testing.T) {
	cases := casesOf(t, "demo", 2, 8)
	for _, c := range []Case{cases[1], cases[len(cases)-1]} {
		p, err := ProfileCase(t.Context(), c, 2)
		if err != nil {
			t.Fatal(err)
		}
		var inOperators, inParts Group
		for _, g := range p.Operators {
			inOperators.add(g)
		}
		lora := false
		for _, g := range p.Parts {
			inParts.add(g)
			lora = lora || strings.HasPrefix(g.Name, "LoRA")
		}
		counts, err := Counts([]Case{c})
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case inOperators.Seconds > p.Engine || p.Engine > p.Turn || inOperators.Seconds == 0:
			t.Errorf("%s: %v s in operators, %v in the engine, %v in all", c.Name, inOperators.Seconds, p.Engine, p.Turn)
		case math.Abs(inParts.Seconds-inOperators.Seconds) > 1e-9 || math.Abs(inParts.Calls-inOperators.Calls) > 1e-6:
			t.Errorf("%s: parts have %+v, operators %+v", c.Name, inParts, inOperators)
		case math.Abs(inOperators.Flops/float64(counts[0].Flops)-1) > 1e-6:
			t.Errorf("%s: %v operations in the profile, the graph counts %v", c.Name, inOperators.Flops, counts[0].Flops)
		case lora != (c.Rank > 0):
			t.Errorf("%s: LoRA among the parts: %v", c.Name, lora)
		}
		var text bytes.Buffer
		if err := p.Write(&text); err != nil || !strings.Contains(text.String(), "| operator") {
			t.Errorf("%s: printed %q (%v)", c.Name, &text, err)
		}
	}
}

// TestEventOfKernels: the profile leaves out absent inputs; a product's operations and part go by what the node's inputs are.
func TestEventOfKernels(t *testing.T) {
	const rows, in, out, rank = 40, 32, 64, 8
	node := func(inputs ...string) *onnx.Node {
		return &onnx.Node{Name: "grad/layer.0.attention/Gemm", Domain: kernels.Domain, Op: "Gemm", Inputs: inputs, Outputs: []string{"y"}}
	}
	sizes := map[string][]int64{"sum": {rows, out}, "a": {rows, in}, "b": {in, out}, "bias": {out}, "mask": {rows, out},
		"a2": {rows, rank}, "b2": {rank, out}, "y": {rows, out}}
	main := 2.0 * rows * in * out
	for name, c := range map[string]struct {
		node  *onnx.Node
		flops float64
		part  string
	}{
		"a product":        {node("", "a", "b"), main, "attention, backward"},
		"and a sum":        {node("sum", "a", "b", "bias"), main, "attention, backward"},
		"and a second":     {node("sum", "a", "b", "", "", "", "mask", "a2", "b2", "mask"), main + 2*rows*rank*out, "attention, backward"},
		"a thin product":   {node("", "a2", "b2"), 2 * rows * rank * out, "LoRA, backward"},
		"a thin one added": {node("sum", "a2", "b2"), 2 * rows * rank * out, "LoRA, backward"},
	} {
		t.Run(name, func(t *testing.T) {
			e := event{Name: c.node.Name + kernel}
			e.Args.Op = "Gemm"
			for _, input := range c.node.Inputs {
				if input != "" {
					e.Args.Inputs = append(e.Args.Inputs, map[string][]int64{"float": sizes[input]})
				}
			}
			e.Args.Outputs = []map[string][]int64{{"float": sizes["y"]}}
			if err := e.count(map[string]*onnx.Node{c.node.Name: c.node}); err != nil {
				t.Fatal(err)
			}
			if e.flops != c.flops || e.part(rank) != c.part || e.operator() != "metalora.Gemm" {
				t.Errorf("%v operations of %s in %s, want %v in %s", e.flops, e.operator(), e.part(rank), c.flops, c.part)
			}
			e.Args.Inputs = e.Args.Inputs[1:]
			if err := e.count(map[string]*onnx.Node{c.node.Name: c.node}); err == nil {
				t.Error("no error where the profile has fewer inputs than the node")
			}
		})
	}
}
