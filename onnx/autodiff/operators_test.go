package autodiff

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/operators.md anew")

const operatorsPage = "../../docs/operators.md"

// docs/operators.md is what the table of rules says.
func TestOperatorsPage(t *testing.T) {
	want := operators()
	if *update {
		if err := os.WriteFile(operatorsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(operatorsPage)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("%s is not what the rules say; go test ./onnx/autodiff -run OperatorsPage -update writes it anew:\n%s", operatorsPage, d)
	}
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
	s.WriteString("\nAny other operator is named in the error, with its domain and the node it is in.\n")
	return s.String()
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
