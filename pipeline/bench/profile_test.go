package bench

import (
	"bytes"
	"math"
	"strings"
	"testing"
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
