package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metalora/models/safetensors"
	"metalora/pipeline/fault"
)

// A unit whose numbers break ends at that step with exit code 4. The message names the sample and the checkpoint, which holds
// the finite weights of before that step and is whole; trying again breaks at the same step, from the checkpoint.
func TestBrokenUnit(t *testing.T) {
	// The rate grows from 0 at step 0; at step 1 weights become some 1e30 and the loss of step 2 overflows.
	e := open(t, t.TempDir(), "retrain.methods=[sr]", "retrain.learning_rate=1e32")
	ex, err := newExecutor(e.Config)
	if err != nil {
		t.Fatal(err)
	}
	u := &e.Units[0]
	var first string
	for range 2 {
		err = e.RunUnit(t.Context(), ex, u, Quiet{})
		if fault.Code(err) != fault.CodeNumbers {
			t.Fatalf("got %v, want exit code 4", err)
		}
		for _, want := range []string{"dialogue", "turn", "is not finite", "last good checkpoint is " + filepath.Join(u.Work, "checkpoints")} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in: %v", want, err)
			}
		}
		if first == "" {
			first = err.Error()
		}
	}
	if err.Error() != first {
		t.Errorf("the second time it broke otherwise:\n%v\nfirst:\n%v", err, first)
	}
	folders, err := os.ReadDir(filepath.Join(u.Work, "checkpoints"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("%d checkpoints (%v), want one", len(folders), err)
	}
	dir := filepath.Join(u.Work, "checkpoints", folders[0].Name())
	if problems, err := Verify(dir); err != nil || len(problems) > 0 {
		t.Errorf("the checkpoint is not whole: %v %v", problems, err)
	}
	if _, err := safetensors.Load(filepath.Join(dir, "state.safetensors")); err != nil { // refuses what is not finite
		t.Error(err)
	}
}

// A rate that breaks the weights themselves leaves no checkpoint of them, and the message says so.
func TestBrokenWeights(t *testing.T) {
	e := open(t, t.TempDir(), "retrain.methods=[sr]", "retrain.learning_rate=1e39")
	ex, err := newExecutor(e.Config)
	if err != nil {
		t.Fatal(err)
	}
	err = e.RunUnit(t.Context(), ex, &e.Units[0], Quiet{})
	if fault.Code(err) != fault.CodeNumbers || !strings.Contains(err.Error(), "weight ") || !strings.Contains(err.Error(), "no step before it left a checkpoint") {
		t.Errorf("got %v, want exit code 4 and the weight", err)
	}
	if _, err := os.Stat(filepath.Join(e.Units[0].Work, "checkpoints")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there are checkpoints of broken weights: %v", err)
	}
}

// Turns that were left out are counted in the report, over all units.
func TestSkippedInReport(t *testing.T) {
	e := generated(t, func(u *Unit) bool { return u.Seed == 0 && u.Task <= 2 && u.Fold == 0 })
	u := &e.Units[0]
	r, err := readResult(u.Dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Skipped = 3
	rewrite(t, u, r)
	study, err := Report(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, fact := range study.Facts {
		if strings.Contains(fact[0], "left out") && fact[1] == "3" {
			return
		}
	}
	t.Errorf("no skipped turns among %q", study.Facts)
}
