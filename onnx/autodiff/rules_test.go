package autodiff

import (
	"maps"
	"slices"
	"testing"

	"metalora/onnx"
)

// cases lists graphs that are tested beside those drawn at random, by the operator they are about.
var cases = merge(elementwiseCases, matMulCases, shapeCases, reduceCases, normaliseCases, indexCases, microsoftCases)

func merge[V any](families ...map[op]V) map[op]V {
	all := map[op]V{}
	for _, f := range families {
		maps.Copy(all, f)
	}
	return all
}

// Every rule agrees with finite differences, whatever is known of its inputs' shapes in advance.
func TestRules(t *testing.T) {
	for _, o := range sorted(rules) {
		for _, c := range cases[o] {
			for _, f := range forms {
				if c.single && f.dtype == onnx.Double {
					continue
				}
				t.Run(o.String()+"/"+c.name+"/"+f.name, func(t *testing.T) { c.check(t, f) })
			}
		}
	}
}

// A rule that no cases are drawn for is a mistake, as is a case without the operator that it is about.
func TestEveryRuleHasCases(t *testing.T) {
	for _, o := range sorted(rules) {
		if generators[o].draw == nil {
			t.Errorf("%v has a rule, but nothing draws cases of it", o)
		}
	}
	for _, o := range sorted(generators) {
		if _, known := rules[o]; !known {
			t.Errorf("cases are drawn of %v, which has no rule", o)
		}
		for i := range uint64(drawn) {
			generators[o].nth(o, i).holds(t, o)
		}
	}
	for _, o := range sorted(cases) {
		for _, c := range cases[o] {
			c.holds(t, o)
		}
	}
}

// holds reports a case that is not about an operator.
func (c testCase) holds(t *testing.T, o op) {
	t.Helper()
	m, _, _ := c.model(t, forms[0])
	about := func(n *onnx.Node) bool { return n.Op == o.name && n.Domain == o.domain }
	if !slices.ContainsFunc(m.Graph.Nodes, about) {
		t.Errorf("case %v/%s holds no such node", o, c.name)
	}
}

func sorted[V any](m map[op]V) []op {
	return slices.SortedFunc(maps.Keys(m), func(a, b op) int {
		if a.domain != b.domain {
			return len(a.domain) - len(b.domain)
		}
		if a.name < b.name {
			return -1
		}
		return 1
	})
}
