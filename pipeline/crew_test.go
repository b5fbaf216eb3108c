package pipeline

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"metalora/pipeline/fault"
	"metalora/pipeline/mpi/mpitest"
)

// ranked is how a run of two ranks ended.
type ranked struct {
	codes [2]int
	errs  [2]error
}

// crewed lets rank 0 do something with the experiment of all methods that rank 1 follows, in one folder, as the command line does. Each
// has its settings and may be asked to stop.
func crewed(dir string, sets [2][]string, ctxs [2]context.Context, lead func(context.Context, *Experiment, Executor) error) (w ranked) {
	mpitest.Each(2, func(ranks mpitest.Rank) {
		rank, crew := ranks.Rank(), NewCrew(ranks)
		code, err := 0, error(nil)
		c, err := Parse("every.yaml", []byte(every), sets[rank])
		if err == nil {
			code, err = member(ctxs[rank], c, dir, crew, lead)
		}
		if !crew.InStep() || rank == 1 && err != nil {
			ranks.Abort() // as the process ends all
		}
		w.codes[rank], w.errs[rank] = max(code, fault.Code(err)), err
	})
	return w
}

// member is one rank's part.
func member(ctx context.Context, c *Config, dir string, crew *Crew, lead func(context.Context, *Experiment, Executor) error) (int, error) {
	e, err := Open(c, dir)
	if err != nil {
		return 0, err
	}
	ex, err := crew.Executor(c)
	if err != nil {
		return 0, err
	}
	if !crew.leads() {
		return crew.Follow(ctx, e, ex)
	}
	if err = lead(ctx, e, ex); crew.InStep() {
		err = errors.Join(err, crew.Dismiss(fault.Code(err)))
	}
	return 0, err
}

// running runs units that are not done.
func running(only ...string) func(context.Context, *Experiment, Executor) error {
	return func(ctx context.Context, e *Experiment, ex Executor) error { return e.Run(ctx, ex, only, Quiet{}) }
}

// TestCrew: two ranks compute the units of a run together, rank 0 alone writes, and the same again gives the same files, also where
// rank 1 was asked to stop on the way.
func TestCrew(t *testing.T) {
	some := running("retrain sr seed*", "retrain meta-lora-2*", "retrain reptile*", "retrain none*", "adapt sr → lora-1 *", "adapt sr → none*")
	calm, rough := filepath.Join(t.TempDir(), "calm"), filepath.Join(t.TempDir(), "rough")
	always := [2]context.Context{t.Context(), t.Context()}
	if w := crewed(calm, [2][]string{}, always, some); w != (ranked{}) {
		t.Fatal(w)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if w := crewed(rough, [2][]string{}, [2]context.Context{t.Context(), stopped}, some); w.codes != [2]int{fault.CodeStopped, fault.CodeStopped} {
		t.Fatalf("rank 1 was asked to stop: %v", w)
	}
	if w := crewed(rough, [2][]string{}, always, some); w != (ranked{}) {
		t.Fatal(w)
	}
	sameFiles(t, filepath.Join(calm, unitsFolder), filepath.Join(rough, unitsFolder))
	recorded(t, calm)
}

// recorded: results say how many ranks there were, where something was trained.
func recorded(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, unitsFolder, "*", ResultsFile))
	if err != nil || len(files) < 7 {
		t.Fatalf("%d results, %v", len(files), err)
	}
	trained := 0
	for _, path := range files {
		r, err := readResult(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		if (r.Together != nil) != (r.Steps > 0) || r.Together != nil && r.Together.Ranks != 2 {
			t.Errorf("%s %s %s: %+v", r.Kind, r.Method, r.Family, r.Together)
		}
		if r.Steps > 0 {
			trained++
		}
	}
	if boards, _ := filepath.Glob(filepath.Join(dir, eventsFolder, "*", "*")); len(boards) != trained {
		t.Errorf("%d event files of %d trainings: %q", len(boards), trained, boards)
	}
	if trained < 4 {
		t.Errorf("%d of %d units trained", trained, len(files))
	}
}

// TestCrewGoesOn: where a unit's numbers break they do on all ranks, which then compute the next unit.
func TestCrewGoesOn(t *testing.T) {
	broken := []string{"retrain.learning_rate=1e38"}
	dir, always := t.TempDir(), [2]context.Context{t.Context(), t.Context()}
	w := crewed(dir, [2][]string{broken, broken}, always, running("retrain sr seed*", "retrain none*"))
	if w.codes != [2]int{fault.CodeNumbers, fault.CodeNumbers} {
		t.Error(w)
	}
	if done, _ := filepath.Glob(filepath.Join(dir, unitsFolder, "retrain-*")); len(done) != 1 {
		t.Errorf("%d units are done, want the one that trains nothing", len(done))
	}
	if failed, _ := filepath.Glob(filepath.Join(dir, workFolder, "*", failureFile)); len(failed) != 1 {
		t.Errorf("%d failures are noted, want one", len(failed))
	}
}

// TestCrewOfUnlikeRanks: a rank with other settings ends all before anything is trained.
func TestCrewOfUnlikeRanks(t *testing.T) {
	w := crewed(t.TempDir(), [2][]string{nil, {"retrain.epochs=3"}}, [2]context.Context{t.Context(), t.Context()}, running("retrain sr seed*"))
	if w.codes[1] != fault.CodeUsage || !strings.Contains(w.errs[1].Error(), "other settings") || !errors.Is(w.errs[0], mpitest.ErrAborted) {
		t.Error(w)
	}
}

// TestCheckpointOfOtherRanks: what two ranks began one does not go on with, unless that is allowed.
func TestCheckpointOfOtherRanks(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := crewed(dir, [2][]string{}, [2]context.Context{ctx, t.Context()}, func(ctx context.Context, e *Experiment, ex Executor) error {
		return e.RunUnit(ctx, ex, &e.Units[1], &stopper{left: 2, stop: cancel})
	})
	if w.codes != [2]int{fault.CodeStopped, fault.CodeStopped} {
		t.Fatal(w)
	}
	for _, c := range []struct {
		sets []string
		code int
	}{{nil, fault.CodeUsage}, {[]string{"checkpoint.elsewhere=true"}, fault.CodeDone}} {
		config, err := Parse("every.yaml", []byte(every), c.sets)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Open(config, dir)
		if err != nil {
			t.Fatal(err)
		}
		ex, err := NewExecutor(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.RunUnit(t.Context(), ex, &e.Units[1], Quiet{}); fault.Code(err) != c.code || err != nil && !strings.Contains(err.Error(), "ranks") {
			t.Errorf("%q: %v, want code %d", c.sets, err, c.code)
		}
	}
}
