package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"metalora/eval"
	"metalora/pipeline/fault"
	"metalora/pipeline/mpi/mpitest"
)

// drawnRun is nanoRun with batches of three turns, some of them held out.
func drawnRun(t *testing.T) (*Run, *Engine) {
	run := nanoRun(t, 0.1)
	turns := run.Tasks[0].Train
	run.Tasks[0].Train, run.Tasks[0].HeldOut = turns[:3], turns[3:]
	run.Plan = NewPlan(TaskAfterTask, []int{3}, 3, 3, inOrder([]int{3}))
	return run, newEngine(t, Spec{Architecture: loadModel(t, "testdata/nano-roberta").Architecture, Threads: 1})
}

// walked is what a run came to.
type walked struct {
	results []Result
	weights map[string][]float32
	scores  [][]eval.TurnScore
	err     error
}

func walk(t *testing.T, run *Run, scorer *Engine) (w walked) {
	run.AfterStep = func(r Result) error {
		w.results = append(w.results, r)
		return nil
	}
	if w.err = run.Do(t.Context()); w.err == nil {
		w.scores, w.err = run.HeldOut(t.Context(), scorer)
	}
	w.weights = map[string][]float32{}
	for name, p := range run.Shared.params {
		w.weights[name] = p.Value
	}
	return w
}

// TestRanks: some ranks that share the turns of a batch come to what one rank comes to, dropout and all, but for the order in
// which gradients add up; among themselves they have the same bits. Four ranks are more than a batch has turns.
func TestRanks(t *testing.T) {
	run, scorer := drawnRun(t)
	alone := walk(t, run, scorer)
	if alone.err != nil {
		t.Fatal(alone.err)
	}
	for _, size := range []int{1, 2, 3, 4} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			runs, scorers, came := make([]*Run, size), make([]*Engine, size), make([]walked, size)
			for rank := range runs {
				runs[rank], scorers[rank] = drawnRun(t)
			}
			mpitest.Each(size, func(ranks mpitest.Rank) {
				rank := ranks.Rank()
				runs[rank].Ranks = ranks
				came[rank] = walk(t, runs[rank], scorers[rank])
			})
			for rank, w := range came {
				if w.err != nil {
					t.Fatal(w.err)
				}
				tolerance := 1e-5
				if size == 1 {
					tolerance = 0
				}
				compareWalks(t, alone, w, tolerance)
				compareWalks(t, came[0], w, 0)
				if t.Failed() {
					t.Fatalf("rank %d", rank)
				}
			}
		})
	}
}

func compareWalks(t *testing.T, want, got walked, tolerance float64) {
	t.Helper()
	if len(got.results) != len(want.results) || len(got.weights) != len(want.weights) {
		t.Fatalf("%d steps and %d weights, want %d and %d", len(got.results), len(got.weights), len(want.results), len(want.weights))
	}
	for i, r := range got.results {
		w := want.results[i]
		if math.Abs(r.Loss-w.Loss) > tolerance || math.Abs(r.GradNorm-w.GradNorm) > tolerance*w.GradNorm || r.Tokens != w.Tokens {
			t.Errorf("step %d: loss %v, norm %v, %d tokens, want %v, %v, %d", i, r.Loss, r.GradNorm, r.Tokens, w.Loss, w.GradNorm, w.Tokens)
		}
	}
	for name, values := range want.weights {
		if !strings.HasSuffix(name, "key.bias") { // its gradient is rounding noise, which AdamW blows up
			compareSlices(t, name, values, got.weights[name], tolerance)
		}
	}
	if len(want.scores[0]) != 1 || len(got.scores[0]) != 1 {
		t.Fatalf("%d and %d turns are scored", len(want.scores[0]), len(got.scores[0]))
	}
	for i, s := range want.scores[0] {
		compareSlices(t, "scores", s.Scores, got.scores[0][i].Scores, 10*tolerance)
	}
}

// TestRanksStopTogether: where one rank is asked to stop, all stop at the same step, within it.
func TestRanksStopTogether(t *testing.T) {
	const size = 3
	runs, errs := make([]*Run, size), make([]error, size)
	for rank := range runs {
		runs[rank], _ = drawnRun(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	mpitest.Each(size, func(ranks mpitest.Rank) {
		rank := ranks.Rank()
		mine := t.Context()
		if rank == 1 {
			mine = ctx
		}
		runs[rank].Ranks = ranks
		runs[rank].AfterStep = func(r Result) error {
			if rank == 1 && r.Step == 1 {
				cancel()
			}
			return nil
		}
		errs[rank] = runs[rank].Do(mine)
	})
	for rank, err := range errs {
		if runs[rank].Done != 2 {
			t.Errorf("rank %d has taken %d steps, want 2", rank, runs[rank].Done)
		}
		want := fault.Stopped
		if rank == 1 {
			want = context.Canceled
		}
		if !errors.Is(err, want) {
			t.Errorf("rank %d: %v, want %v", rank, err, want)
		}
	}
}

// TestRanksThatDriftApart: a weight that differs on one rank ends the run with an error that says so.
func TestRanksThatDriftApart(t *testing.T) {
	const size = 2
	runs, errs := make([]*Run, size), make([]error, size)
	for rank := range runs {
		runs[rank], _ = drawnRun(t)
		runs[rank].Plan = NewPlan(TaskAfterTask, []int{3}, 3, 60, inOrder([]int{3}))
	}
	mpitest.Each(size, func(ranks mpitest.Rank) {
		rank := ranks.Rank()
		runs[rank].Ranks = ranks
		runs[rank].AfterStep = func(r Result) error {
			if rank == 1 && r.Step == 0 {
				runs[rank].Shared.params["classifier.dense.weight"].Value[5] += 1e-3
			}
			return nil
		}
		errs[rank] = runs[rank].Do(t.Context())
	})
	for rank, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "has other weights than") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// TestRanksAgreeOnNumbersThatBreak: a turn that breaks on the rank that runs it ends all ranks with the same error, or is left out
// by all.
func TestRanksAgreeOnNumbersThatBreak(t *testing.T) {
	const size = 2
	for _, skip := range []bool{false, true} {
		t.Run(fmt.Sprintf("skip %v", skip), func(t *testing.T) {
			runs, came := make([]*Run, size), make([]walked, size)
			for rank := range runs {
				runs[rank] = headRun(t, 0.1)
				runs[rank].Skip = skip
				poison(runs[rank])
			}
			mpitest.Each(size, func(ranks mpitest.Rank) {
				rank := ranks.Rank()
				runs[rank].Ranks = ranks
				came[rank] = walk(t, runs[rank], nil)
			})
			for rank, w := range came {
				if skip && (w.err != nil || w.results[1].Skipped != 1) {
					t.Errorf("rank %d: %v, results %+v", rank, w.err, w.results)
				}
				if !skip && (fault.Code(w.err) != fault.CodeNumbers || w.err.Error() != came[0].err.Error()) {
					t.Errorf("rank %d: %v", rank, w.err)
				}
			}
			for _, name := range runs[0].Trained {
				compareSlices(t, name, came[0].weights[name], came[1].weights[name], 0)
			}
		})
	}
}

// TestShare: the turns are shared out whole, and no rank has more than the mean and the longest turn.
func TestShare(t *testing.T) {
	tokens := []int{15, 300, 40, 120, 90, 300, 15, 33}
	for ranks := 1; ranks <= 10; ranks++ {
		load, total := make([]int, ranks), 0
		for i, owner := range share(tokens, ranks) {
			load[owner] += tokens[i]
			total += tokens[i]
		}
		if most := slices.Max(load); most > total/ranks+slices.Max(tokens) {
			t.Errorf("%d ranks: %v", ranks, load)
		}
	}
	if got := share(tokens, 2); !slices.Equal(got, []int{1, 0, 1, 0, 1, 1, 1, 0}) {
		t.Errorf("two ranks: %v", got)
	}
}
