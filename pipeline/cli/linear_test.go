package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tinyStudy are overrides that leave a study of a fraction of a second.
var tinyStudy = []string{"--set", "retrain.steps=50", "--set", "vary={dimension: [6], tasks: [3], samples: [100], adapt_samples: [60], rank: [1]}",
	"--set", "adapt.steps={dimension: 40, tasks: 40, samples: 40, adapt_samples: 40, rank: 40}", "--set", "slope={rank: [1], steps: 40}"}

// TestLinear runs the verb as a user does: text, JSON from the finished parts, and what a mistake gets.
func TestLinear(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "study")
	args := append([]string{"linear", "../../configs/linear-small.yaml", "--out", dir}, tinyStudy...)
	out := succeed(t, args...)
	if !strings.Contains(out, filepath.Join(dir, "index.html")) || !strings.Contains(out, "The theorems as numbers") {
		t.Errorf("output:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "index.html")); err != nil {
		t.Error(err)
	}
	if boards, _ := filepath.Glob(filepath.Join(dir, "events", "*", "events.out.tfevents.*")); len(boards) != 1+5*2 {
		t.Errorf("%d event files, want the report's and one for each of the value of 5 figures after each of 2 retrainings", len(boards))
	}
	code, document, progress := invoke(t, "", append(args, "--json")...)
	var report struct {
		Answer []string
		Tables []struct {
			Key  string
			Rows [][]any
		}
	}
	if err := json.Unmarshal([]byte(document), &report); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v:\n%s", code, err, document)
	}
	if progress != "" {
		t.Errorf("the second run computed parts:\n%s", progress)
	}
	if len(report.Tables) != 5 || report.Tables[0].Key != "theorems" || len(report.Tables[0].Rows) < 8 || len(report.Answer) < 2 {
		t.Errorf("document: %+v", report)
	}
	for _, x := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"another study's folder", append(args, "--set", "seed=9"), 2, "other settings"},
		{"unknown key", []string{"linear", "--set", "run=9"}, 2, `did you mean "runs"`},
		{"missing file", []string{"linear", filepath.Join(dir, "no.yaml")}, 3, "no.yaml"},
		{"two files", []string{"linear", "a", "b"}, 2, `"b"`},
		{"rate too high", append(append([]string{}, args[:2]...), append(tinyStudy, "--out", dir+"2", "--set", "adapt.rate=90")...), 4, "rate"},
	} {
		if code, _, stderr := invoke(t, "", x.args...); code != x.code || !strings.Contains(stderr, x.want) {
			t.Errorf("%s: exit code %d, want %d; message, which should have %q:\n%s", x.name, code, x.code, x.want, stderr)
		}
	}
}
