package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"metalora/pipeline/golden"
)

// TestDoctorShape: the fields of doctor's JSON and their types are a contract; the golden file lists them.
func TestDoctorShape(t *testing.T) {
	code, out, stderr := invoke(t, "", "doctor", "--json")
	if code != 0 && code != 3 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	var document map[string]any
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	var lines []string
	shape("", document, &lines)
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	golden.Compare(t, "testdata/doctor.txt", got)
	if ok := document["ok"] == true; ok != (code == 0) || ok != (len(document["problems"].([]any)) == 0) {
		t.Errorf("ok is %v, the exit code %d, problems %v", document["ok"], code, document["problems"])
	}
}

// shape lists the fields below a value, lists by their place alone.
func shape(at string, v any, lines *[]string) {
	if fields, ok := v.(map[string]any); ok {
		for name, field := range fields {
			shape(at+"."+name, field, lines)
		}
		return
	}
	kind := fmt.Sprintf("%T", v)
	if _, list := v.([]any); list {
		kind = "list"
	}
	*lines = append(*lines, fmt.Sprintf("%s %s", strings.TrimPrefix(at, "."), kind))
}

// TestDoctorFinds: each set-up problem that can be made here is found, with the line that mends it.
func TestDoctorFinds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		do   func(t *testing.T, d *diagnosis)
		want string
		fix  string
	}{
		"no library": {func(t *testing.T, d *diagnosis) { t.Setenv("METALORA_ORT", file+".so"); d.findLibrary() }, "METALORA_ORT", "./task ort"},
		"cache":      {func(t *testing.T, d *diagnosis) { t.Setenv("XDG_CACHE_HOME", file); d.checkFolders() }, "the cache", "export XDG_CACHE_HOME="},
		"no home": {func(t *testing.T, d *diagnosis) {
			t.Setenv("XDG_CACHE_HOME", "")
			t.Setenv("HOME", "")
			d.checkFolders()
		}, "no cache folder", "export XDG_CACHE_HOME="},
		"temporary":      {func(t *testing.T, d *diagnosis) { t.Setenv("TMPDIR", file); d.checkFolders() }, "the temporary folder", "export TMPDIR="},
		"runs is a file": {func(t *testing.T, d *diagnosis) { d.writable(file, "the run folder", "--out DIR") }, "is no folder", "--out DIR"},
		"runs is below a file": {func(t *testing.T, d *diagnosis) {
			d.writable(filepath.Join(file, "runs"), "the run folder", "--out DIR")
		}, "the run folder", "--out DIR"},
		"no AVX2": {func(_ *testing.T, d *diagnosis) { d.Features = nil; d.checkCPU() }, "AVX2", "-cpu host"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "no AVX2" && diagnose().System != "linux/amd64" {
				t.Skip("of x86-64 alone")
			}
			d := &diagnosis{}
			c.do(t, d)
			if !slices.ContainsFunc(d.Problems, func(p problem) bool { return strings.Contains(p.What, c.want) && strings.Contains(p.Fix, c.fix) }) {
				t.Errorf("%+v, want %q mended by %q", d.Problems, c.want, c.fix)
			}
		})
	}
}

// TestDoctorMemory: an experiment that takes more than the memory is found before it runs, one that fits is no problem.
func TestDoctorMemory(t *testing.T) {
	config := filepath.Join(t.TempDir(), "big.yaml")
	text := `synthetic: {}
model: {init: {hidden: %d, layers: 1, heads: 1, vocabulary: %d}}
seeds: [0]
tasks: {retrain: {ranks: 1-2}, test: {ranks: 1}}
retrain: {methods: [sr]}
adapt: {families: [full]}
`
	for name, c := range map[string]struct {
		hidden, vocabulary int
		problem            bool
	}{"fits": {16, 1000, false}, "terabytes": {1 << 14, 1 << 26, true}} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(config, fmt.Appendf(nil, text, c.hidden, c.vocabulary), 0o600); err != nil {
				t.Fatal(err)
			}
			_, out, stderr := invoke(t, "", "doctor", config, "--json", "--out", t.TempDir())
			var d diagnosis
			if err := json.Unmarshal([]byte(out), &d); err != nil {
				t.Fatalf("%v: %s", err, stderr)
			}
			if d.Available == 0 {
				t.Skip("this system does not say how much memory there is")
			}
			found := slices.ContainsFunc(d.Problems, func(p problem) bool { return strings.HasPrefix(p.What, "memory short") && p.Fix != "" })
			if d.Peak < 40<<20 || found != c.problem {
				t.Errorf("peak %d bytes, problems %+v", d.Peak, d.Problems)
			}
		})
	}
}
