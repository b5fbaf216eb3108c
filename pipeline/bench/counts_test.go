package bench

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"metalora/onnx/kernels"
	"metalora/pipeline/golden"
)

// needKernels skips a test whose golden file says what graphs with operators of package kernels cost.
func needKernels(t *testing.T) {
	t.Helper()
	if !kernels.Supported() {
		t.Skip("this machine has no kernels of ours: its graphs are the plain ones, of other counts")
	}
}

func casesOf(t *testing.T, size string, rows, length int) []Case {
	t.Helper()
	cases, err := Cases(size, rows, length, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestCounts guards what a step costs: operators, products and bytes of every kind of step at every size, as
// `metalora bench counts` prints them.
func TestCounts(t *testing.T) {
	needKernels(t)
	var cases []Case
	for _, size := range []string{"demo", "minilm", "base"} {
		cases = append(cases, casesOf(t, size, 20, 96)...)
	}
	counts, err := Counts(cases)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := WriteCounts(&text, counts); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/counts.md", text.String())
}

// TestPadding guards how much of the work on real turns is padding, by the size of the model: with kernels, and where all is left to
// the engine.
func TestPadding(t *testing.T) {
	needKernels(t)
	data := dialogues(t)
	var text strings.Builder
	for _, size := range []string{"demo", "minilm", "base"} {
		var shares [2]float64
		for i := range shares {
			c := casesOf(t, size, 1, 1)[0]
			c.NoKernels = i > 0
			var err error
			if shares[i], err = Padding(data, 40, c); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&text, "%-6s %.2f %%, without kernels %.2f %%\n", size, 100*shares[0], 100*shares[1])
	}
	golden.Compare(t, "testdata/padding.txt", text.String())
}

// TestAllocations guards what a turn and a step of the optimiser allocate on Go's side: their number hangs on the graph, not
// on how long the turn is.
func TestAllocations(t *testing.T) {
	var text strings.Builder
	for _, c := range casesOf(t, "demo", 2, 8) {
		s, err := c.prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var failed error
		count := func(work func() error) float64 {
			return testing.AllocsPerRun(5, func() {
				if err := work(); err != nil {
					failed = err
				}
			})
		}
		turn, step := count(s.turn), 0.0
		if s.update != nil {
			step = count(s.update)
		}
		s.close()
		if failed != nil {
			t.Fatal(failed)
		}
		fmt.Fprintf(&text, "%-45s %5.0f a turn, %5.0f a step\n", c.Name, turn, step)
	}
	golden.Compare(t, "testdata/allocations.txt", text.String())
}
