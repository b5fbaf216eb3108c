package train

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"metalora/models"
	"metalora/pipeline/fault"
)

// nanoRun is a short run of all weights of nano-roberta over drawn turns.
func nanoRun(t *testing.T, dropout float64) *Run { return nanoRunOf(t, Base|Head, dropout) }

func nanoRunOf(t *testing.T, trains Weights, dropout float64) *Run {
	folder := loadModel(t, "testdata/nano-roberta")
	spec := Spec{Architecture: folder.Architecture, Trains: trains, Dropout: models.Dropout{Hidden: dropout, Attention: dropout, Head: dropout}, Threads: 2}
	drawn, _, _ := drawnTurns([]int{4, 4, 4, 4}, 9)
	var turns []Turn
	for _, turn := range drawn {
		turns = append(turns, *turn)
	}
	run := &Run{Engine: newEngine(t, spec), Shared: newSet(t, folder.Tensors.Clone(), folder.Architecture), Tasks: []Task{{Name: "drawn", Train: turns}},
		AdamW: DefaultAdamW, Trained: spec.Trained(), Seed: 3}
	run.Plan = NewPlan(TaskAfterTask, []int{len(turns)}, 2, 3, inOrder([]int{len(turns)}))
	run.Schedule = OverRun(1e-3, 0.1, len(run.Plan))
	return run
}

// A number that breaks ends the run at that step, with exit code 4 and the weight's name; no weight moves on it.
func TestNumbersThatBreak(t *testing.T) {
	run := nanoRun(t, 0)
	const name = "roberta.encoder.layer.1.output.dense.weight"
	run.AfterStep = func(r Result) error {
		if r.Step == 1 {
			run.Shared.params[name].Value[7] = float32(math.NaN())
		}
		return nil
	}
	before := run.Shared.params["classifier.dense.weight"]
	err := run.Do(t.Context())
	if fault.Code(err) != fault.CodeNumbers || !strings.Contains(err.Error(), "step 2") || !strings.Contains(err.Error(), name) {
		t.Errorf("got %v, want step 2 and %s", err, name)
	}
	if err != nil && (!strings.Contains(err.Error(), "dialogue 0, turn 0") || run.Finite()) {
		t.Errorf("%v: want the sample named; the run calls its weights finite: %v", err, run.Finite())
	}
	if at := firstNotFinite(before.Value); at >= 0 {
		t.Errorf("classifier.dense.weight has moved to %v at %d", before.Value[at], at)
	}
}

// The same seed gives the same bits, dropout and all; another seed gives others.
func TestRunsRepeat(t *testing.T) {
	final := func(seed uint64) []float32 {
		run := nanoRun(t, 0.1)
		run.Seed = seed
		if err := run.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		return run.Shared.params["roberta.encoder.layer.0.output.dense.weight"].Value
	}
	a, b, c := final(3), final(3), final(4)
	same := true
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("weight %d: %v and then %v", i, a[i], b[i])
		}
		same = same && a[i] == c[i]
	}
	if same {
		t.Error("another seed of the masks gave the same weights")
	}
}

func TestRunStopsWhenAsked(t *testing.T) {
	run := nanoRun(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	run.AfterStep = func(r Result) error {
		if r.Step == 1 {
			cancel()
		}
		return nil
	}
	if err := run.Do(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}
