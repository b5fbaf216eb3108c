package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"metalora/pipeline/fault"
)

// poison gives the last turn a token that no other one has, and NaN to that token's row of the word embeddings, which are frozen:
// only the numbers of that turn are lost. It returns the turn's place.
func poison(run *Run) int {
	const rare = 991
	turns := run.Tasks[0].Train
	for i := range turns {
		for at, id := range turns[i].IDs {
			if id == rare {
				turns[i].IDs[at] = 5
			}
		}
	}
	last := len(turns) - 1
	turns[last].IDs[1] = rare
	table := run.Shared.params["roberta.embeddings.word_embeddings.weight"]
	table.Value[rare*table.Shape[1]] = float32(math.NaN())
	return last
}

// headRun is a short run that trains the head alone.
func headRun(t *testing.T, dropout float64) *Run {
	run := nanoRunOf(t, Head, dropout)
	for i := range run.Tasks[0].Train {
		run.Tasks[0].Train[i].Dialogue, run.Tasks[0].Train[i].Turn = 7, i
	}
	return run
}

// A turn that breaks is named, and with it the step, the batch's other turn being whole.
func TestBrokenTurn(t *testing.T) {
	run := headRun(t, 0)
	poison(run)
	err := run.Do(t.Context())
	for _, want := range []string{"step 1 ", "dialogue 7, turn 3", "the loss is not finite", "word_embeddings"} {
		if fault.Code(err) != fault.CodeNumbers || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// A gradient that overflows where the loss does not is named by its weight.
func TestBrokenGradient(t *testing.T) {
	run := headRun(t, 0)
	scale := func(name string, by float32) {
		for i := range run.Shared.params[name].Value {
			run.Shared.params[name].Value[i] *= by
		}
	}
	scale("roberta.encoder.layer.1.output.LayerNorm.weight", 1e19)
	scale("roberta.encoder.layer.1.output.LayerNorm.bias", 1e19)
	scale("classifier.dense.weight", 1e-19)
	scale("classifier.out_proj.weight", 1e30)
	err := run.Do(t.Context())
	for _, want := range []string{"step 0 ", "dialogue 7, turn 0", "the gradient of classifier.dense.weight is not finite"} {
		if fault.Code(err) != fault.CodeNumbers || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// With Skip a turn that breaks is left out and counted, and the run is, to the last bit, the one over a batch without it,
// dropout on. A batch of which nothing is left still ends the run.
func TestSkip(t *testing.T) {
	run, without := headRun(t, 0.1), headRun(t, 0.1)
	bad := poison(run)
	poison(without)
	run.Skip = true
	skipped := 0
	run.AfterStep = func(r Result) error { skipped += r.Skipped; return nil }
	if err := run.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, step := range without.Plan {
		if at := slices.Index(step.Turns, bad); at >= 0 { // it is last: the masks of a turn hang on its place in the batch
			without.Plan[i].Turns = step.Turns[:at]
		}
	}
	if err := without.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if skipped != 3 {
		t.Errorf("%d turns were skipped, want one in each of 3 epochs", skipped)
	}
	for _, name := range run.Trained {
		if !slices.Equal(run.Shared.params[name].Value, without.Shared.params[name].Value) {
			t.Errorf("%s differs from a run without the turn", name)
		}
	}
	run = headRun(t, 0)
	run.Skip = true
	poison(run)
	run.Plan[1].Turns = []int{bad}
	if err := run.Do(t.Context()); fault.Code(err) != fault.CodeNumbers {
		t.Errorf("got %v where every turn of a batch breaks, want exit code 4", err)
	}
}
