package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline/fault"
)

// TestVerify: any file of a unit that is changed, cut, gone or new is named, from whichever folder one looks.
func TestVerify(t *testing.T) {
	e, ex := everyRun(t)
	for _, i := range []int{1, 2} {
		if err := e.RunUnit(t.Context(), ex, &e.Units[i], Quiet{}); err != nil {
			t.Fatal(err)
		}
	}
	u := &e.Units[1]
	stopAfter(t, e, ex, &e.Units[3], 1)
	check := func(dir string, want ...string) {
		t.Helper()
		problems, err := Verify(dir)
		files := []string{}
		for _, p := range problems {
			files = append(files, p.File)
		}
		if diff := cmp.Diff(append([]string{}, want...), files); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", dir, err, diff)
		}
	}
	checkpoints, _ := filepath.Glob(filepath.Join(e.Units[3].Work, checkpointsFolder, "*"))
	if len(checkpoints) != 1 {
		t.Fatalf("checkpoints %q", checkpoints)
	}
	for _, dir := range []string{e.Dir, u.Dir, filepath.Join(u.Dir, "model"), checkpoints[0]} {
		check(dir)
	}
	for name := range deterministic(t, u.Dir) {
		path := filepath.Join(u.Dir, name)
		flip(t, path, 0.5)
		check(u.Dir, filepath.ToSlash(name))
		check(e.Dir, "units/"+u.ID+"/"+filepath.ToSlash(name))
		flip(t, path, 0.5)
	}
	flip(t, filepath.Join(u.Dir, "model", "model.safetensors"), 0.5)
	check(filepath.Join(u.Dir, "model"), "model.safetensors")
	check(filepath.Join(u.Dir, "discarded"))
	if _, err := ex.base(filepath.Join(u.Dir, "model")); fault.Code(err) != fault.CodeInput || !strings.Contains(err.Error(), "model.safetensors") {
		t.Errorf("adapting a base with a changed weight: %v", err)
	}
	flip(t, filepath.Join(u.Dir, "model", "model.safetensors"), 0.5)
	write(t, filepath.Join(u.Dir, "model", "more.bin"), "x")
	if err := os.Remove(filepath.Join(u.Dir, MetricsFile)); err != nil {
		t.Fatal(err)
	}
	check(u.Dir, MetricsFile, "model/more.bin")
	flip(t, filepath.Join(checkpoints[0], manifestFile), 0.9)
	check(checkpoints[0], manifestFile)
	if _, err := Verify(t.TempDir()); fault.Code(err) != fault.CodeInput {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestChangedResults: results that are still JSON but not what the unit wrote are refused wherever a run reads them.
func TestChangedResults(t *testing.T) {
	e := open(t, t.TempDir())
	if err := e.Run(t.Context(), &fake{}, nil, Quiet{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(e.Units[0].Dir, ResultsFile)
	write(t, path, `{"unit": "another"}`)
	if _, err := e.States(); fault.Code(err) != fault.CodeInput || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want the file's name", err)
	}
}
