package autodiff

import (
	stdcmp "cmp"
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"metalora/pipeline/golden"
)

const operatorsPage = "../../docs/operators.md"

// docs/operators.md is what the table of rules says.
func TestOperatorsPage(t *testing.T) {
	golden.Compare(t, operatorsPage, operators())
}

func operators() string {
	var s strings.Builder
	fmt.Fprintf(&s, `# Operators with a gradient

Written from the table of rules by `+"`go test ./onnx/autodiff -run OperatorsPage -update`"+`; a test fails where they differ.

%d operators have a rule. "By" counts the inputs from 0; integer inputs never have a gradient. "In part" marks rules that do
not hold for every node of the operator: what they refuse, they refuse by the node's name and with the reason.

| operator | by | |
|---|---|---|
`, len(rules))
	for _, o := range sorted(rules) {
		note := ""
		if rules[o].obstacle != nil {
			note = "in part"
		}
		fmt.Fprintf(&s, "| %s | %s | %s |\n", o, by(rules[o]), note)
	}
	s.WriteString("\n## Constant almost everywhere\n\nThe gradient through these is zero:")
	for i, o := range sorted(zeroGradient) {
		if i > 0 {
			s.WriteString(",")
		}
		s.WriteString(" " + o.String())
	}
	s.WriteString(".\n\n## Refused\n\n| operator | why |\n|---|---|\n")
	for _, o := range sorted(refused) {
		fmt.Fprintf(&s, "| %s | %s |\n", o, refused[o])
	}
	fmt.Fprintf(&s, `
Any other operator is named in the error, with its domain and the node it is in.

ONNX's standard set (onnx 1.23.2) has %d operators with a float input and a float output. Those that are in none of these
lists: %s.
`, len(standard()), stdcmp.Or(strings.Join(unexplained(), ", "), "none"))
	return s.String()
}

// standardSet lists ONNX's own operators with a float input and a float output; testdata/standard.py wrote it.
//
//go:embed testdata/standard.txt
var standardSet string

func standard() []string { return strings.Split(strings.TrimSpace(standardSet), "\n") }

// unexplained are the operators of the standard set that have neither a rule nor a reason for having none.
func unexplained() (names []string) {
	for _, line := range standard() {
		name, _, _ := strings.Cut(line, " ")
		o := op{"", name}
		if _, known := rules[o]; !known && !zeroGradient[o] && refused[o] == "" {
			names = append(names, name)
		}
	}
	return names
}

// Every operator of ONNX's standard set that could have a gradient has a rule, or a reason why not.
func TestStandardSet(t *testing.T) {
	if len(standard()) < 100 {
		t.Fatalf("only %d operators are known", len(standard()))
	}
	if names := unexplained(); len(names) > 0 {
		t.Errorf("neither a rule nor a reason: %v", names)
	}
	for _, o := range sorted(refused) {
		if _, both := rules[o]; both || zeroGradient[o] {
			t.Errorf("%v has a rule, and a reason for having none", o)
		}
	}
}

// by lists the inputs that a rule gives gradients.
func by(r rule) string {
	if r.inputs == every || r.formula == nil {
		return "all"
	}
	var list []string
	for i := range 64 {
		if r.inputs.has(i) {
			list = append(list, fmt.Sprint(i))
		}
	}
	return strings.Join(list, ", ")
}
