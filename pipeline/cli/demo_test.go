package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metalora/eval"
	"metalora/eval/stats"
	"metalora/pipeline"
)

// TestDemo runs the demo as a user does: its adapted models beat chance, each method under each seed (exact binomial,
// p < 0.01), and its report is whole. Nothing is asserted about which method wins.
func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	out := succeed(t, "demo", "--out", dir)
	if !strings.Contains(out, filepath.Join(dir, "report", "index.html")) {
		t.Errorf("the output does not say where the report is:\n%s", out)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report", "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range eval.CheckReport(page) {
		t.Errorf("report: %s", problem)
	}
	for cell, turns := range adapted(t, dir) {
		m := eval.Measure(turns)
		// A tie counts its share, and is rounded down here: the test can only become harder to pass.
		p := stats.BinomialTail(int(m.Correct), m.Turns, m.Chance)
		t.Logf("%s: %.1f of %d turns, chance %.3f, p = %.2g", cell, m.Correct, m.Turns, m.Chance, p)
		if p >= 0.01 {
			t.Errorf("%s: %.1f of %d turns do not beat chance %.3f: p = %.3f", cell, m.Correct, m.Turns, m.Chance, p)
		}
	}
	if boards, _ := filepath.Glob(filepath.Join(dir, "events", "*", "events.out.tfevents.*")); len(boards) != 4+16+1 {
		t.Errorf("%d event files, want one for each unit and the report's", len(boards))
	}
	const nothing = "all units are done: nothing to submit\n"
	for _, c := range []struct{ flag, out, aside string }{{"--dry-run", "", nothing}, {"--json", "[]\n", ""}, {"--again", nothing, ""}} {
		code, out, aside := invoke(t, "", "submit", "slurm", demo, "--out", dir, c.flag)
		if code != 0 || out != c.out || !strings.Contains(aside, c.aside) {
			t.Errorf("submit %s where all is done: exit code %d, %q, %q", c.flag, code, out, aside)
		}
	}
	again := succeed(t, "demo", "--out", dir)
	if again != out {
		t.Errorf("a second run of what is done says something else:\n%s\nfirst:\n%s", again, out)
	}
}

// adapted collects the last scores of all adaptations by method and seed.
func adapted(t *testing.T, dir string) map[string][]eval.TurnScore {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "units", "adapt-*", pipeline.ResultsFile))
	if err != nil || len(files) != 16 {
		t.Fatalf("%d adaptations (%v), want 2 methods x 2 seeds x 4 personas", len(files), err)
	}
	cells := map[string][]eval.TurnScore{}
	for _, file := range files {
		var r pipeline.Result
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		cell := r.Method + " seed " + string(rune('0'+r.Seed))
		cells[cell] = append(cells[cell], r.Turns...)
	}
	return cells
}

// succeed runs the command line, which has to exit with 0, and returns its standard output.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	code, out, err := invoke(t, "", args...)
	if code != 0 {
		t.Fatalf("metalora %s: exit code %d\n%s", strings.Join(args, " "), code, err)
	}
	return out
}

func invoke(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Run(t.Context(), args, strings.NewReader(stdin), &out, &err)
	return code, out.String(), err.String()
}
