package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"metalora/onnx/ort"
	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
	"metalora/pipeline/fault"
)

// Executor computes a unit. Run fills dir with the unit's files, results.json and metrics.jsonl among them; dir is empty
// at first and only becomes the finished unit if Run succeeds. What has to survive an interruption goes to u.Work.
// When ctx ends, Run returns [fault.Stopped] or the context's error.
type Executor interface {
	Run(ctx context.Context, u *Unit, dir string, p Progress) error
}

// Run executes the units that the globs choose and that are not done, in the order of the plan; what they need runs
// before them. A unit whose numbers break does not keep others from running; any other failure ends the run.
// When ctx ends, the error is [fault.Stopped] and says what is saved.
func (e *Experiment) Run(ctx context.Context, ex Executor, only []string, p Progress) error {
	chosen, err := e.choose(only)
	if err != nil {
		return err
	}
	var failures []error
	broken := map[string]bool{}
	done := 0
	for _, u := range chosen {
		if needsBroken(u, broken) {
			broken[u.ID] = true
			continue
		}
		err := e.RunUnit(ctx, ex, u, p)
		var locked lockedError
		switch {
		case err == nil:
			done++
		case errors.Is(err, fault.Stopped):
			return fmt.Errorf("%w; %d of %d units are done; run the same command again to go on", err, done, len(chosen))
		case fault.Code(err) == fault.CodeNumbers || errors.As(err, &locked):
			broken[u.ID] = true
			failures = append(failures, err)
			p.Note(err.Error())
		default:
			return err
		}
	}
	if len(failures) > 0 {
		return fmt.Errorf("%d of %d units are not done: %w", len(broken), len(chosen), errors.Join(failures...))
	}
	return nil
}

// choose lists the units that the globs select and those they need, in the order of the plan.
func (e *Experiment) choose(only []string) ([]*Unit, error) {
	picked, err := Select(e.Units, only)
	if err != nil {
		return nil, err
	}
	needed := map[string]bool{}
	for i, u := range e.Units {
		for _, id := range u.Needs {
			needed[id] = needed[id] || picked[i]
		}
	}
	var chosen []*Unit
	for i := range e.Units {
		if u := &e.Units[i]; picked[i] || needed[u.ID] {
			chosen = append(chosen, u)
		}
	}
	return chosen, nil
}

func needsBroken(u *Unit, broken map[string]bool) bool {
	for _, id := range u.Needs {
		if broken[id] {
			return true
		}
	}
	return false
}

// RunUnit executes one unit, unless it is done. A unit that it needs has to be done before.
func (e *Experiment) RunUnit(ctx context.Context, ex Executor, u *Unit, p Progress) error {
	if err := u.withoutLinks(); err != nil {
		return err
	}
	state, err := e.State(u)
	if err != nil {
		return err
	}
	if state == Done {
		return u.clear()
	}
	for i, dir := range u.NeedDirs {
		if err := checkResults(dir); err != nil {
			if _, there := os.Stat(dir); there == nil {
				return err
			}
			return fmt.Errorf("running %q: it needs the unit %s, which is not done yet", u.Label, u.Needs[i])
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w before %q began", fault.Stopped, u.Label)
	}
	if err := e.prepare(); err != nil {
		return err
	}
	if err := disk.MkdirAll(u.Work); err != nil {
		return fmt.Errorf("making the unit's work folder: %w", err)
	}
	held, err := acquire(filepath.Join(u.Work, lockFile))
	if err != nil {
		return fmt.Errorf("running %q: %w", u.Label, err)
	}
	err = e.runLocked(ctx, ex, u, p)
	if err := held.release(); err != nil {
		return fmt.Errorf("releasing the lock of %q: %w", u.Label, err)
	}
	if _, there := os.Stat(u.Dir); err == nil && there == nil {
		return u.leave()
	}
	return err
}

// withoutLinks refuses a unit, of a run's folder that somebody else made, whose links would have us read or write elsewhere.
func (u *Unit) withoutLinks() error {
	paths := []string{u.Dir, u.Work}
	for _, name := range []string{lockFile, attemptsFile, failureFile, eventsFolder, checkpointsFolder} {
		paths = append(paths, filepath.Join(u.Work, name))
	}
	saved, _ := filepath.Glob(filepath.Join(escapeGlob(u.Work), checkpointsFolder, "*")) // its pattern is in order
	if err := confined.NoLink(append(paths, saved...)...); err != nil {
		return fault.Input(fmt.Errorf("running %q: %w", u.Label, err))
	}
	return nil
}

// runLocked executes a unit whose lock is held.
func (e *Experiment) runLocked(ctx context.Context, ex Executor, u *Unit, p Progress) error {
	if state, err := e.State(u); err != nil || state == Done {
		return err // another process finished it while we asked for the lock
	}
	started := time.Now()
	if err := errors.Join(u.clearFailure(), u.removeLeftovers(), u.note(attempt{Begun: started, Host: hostName()})); err != nil {
		return err
	}
	dir, err := u.makeTemporary()
	if err != nil {
		return err
	}
	p.Start(u.Label)
	freshMemory()
	err = ex.Run(ctx, u, dir, p)
	p.End(err)
	if err == nil {
		err = e.finish(ex, u, dir, started)
	}
	if err == nil {
		return nil
	}
	removed := disk.RemoveAll(dir)
	noted := u.note(attempt{Begun: started, Host: hostName(), Seconds: time.Since(started).Seconds()})
	if errors.Is(err, fault.Stopped) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %q was under way and %s; finished units are kept", fault.Stopped, u.Label, u.nextStart())
	}
	if fault.Code(err) == fault.CodeNumbers {
		err = fmt.Errorf("%w (%s)", err, u.lastGood())
	}
	failure := Failure{Error: err.Error(), Code: fault.Code(err), Host: hostName(), Time: started.UTC().Format(time.RFC3339)}
	written := writeJSON(filepath.Join(u.Work, failureFile), failure)
	return fmt.Errorf("running %q: %w", u.Label, errors.Join(err, removed, noted, written))
}

// freshMemory lets go of what the unit before left: it neither counts for the next one nor stands in its way.
func freshMemory() {
	debug.FreeOSMemory()
	ort.Trim()
	resetPeak()
}

// clear removes what a process left of a finished unit that ended before it had cleared up itself. Who is at it is left alone.
func (u *Unit) clear() error {
	entries, err := os.ReadDir(filepath.Dir(u.Work))
	ours := func(entry fs.DirEntry) bool { return strings.HasPrefix(entry.Name(), u.ID) }
	if err != nil || !slices.ContainsFunc(entries, ours) {
		return nil // what cannot be looked at does not matter: the unit is done
	}
	if err := disk.MkdirAll(u.Work); err != nil {
		return fmt.Errorf("clearing up after a finished unit: %w", err)
	}
	held, err := acquire(filepath.Join(u.Work, lockFile))
	var locked lockedError
	if errors.As(err, &locked) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(u.removeLeftovers(), held.release(), u.leave())
}

// leave removes a finished unit's work folder but for its events. The checkpoints lose their name first, so that a removal which
// breaks off leaves none that is not whole.
func (u *Unit) leave() error {
	saved := filepath.Join(u.Work, checkpointsFolder)
	if _, err := os.Stat(saved); err == nil {
		if err := errors.Join(disk.RemoveAll(saved+unfinishedSuffix), disk.Rename(saved, saved+unfinishedSuffix)); err != nil {
			return fmt.Errorf("clearing up after %q: %w", u.Label, err)
		}
	}
	return errors.Join(u.keepEvents(), disk.RemoveAll(u.Work))
}

// nextStart says where the unit would begin now.
func (u *Unit) nextStart() string {
	c := checkpoints{dir: filepath.Join(u.Work, checkpointsFolder)}
	if names, err := c.list(); err != nil || len(names) == 0 {
		return "will start anew"
	}
	return "will go on from its checkpoint"
}

// lastGood says where the weights are that the numbers broke on: as they were before that step, unless they are not finite
// themselves.
func (u *Unit) lastGood() string {
	c := checkpoints{dir: filepath.Join(u.Work, checkpointsFolder)}
	names, err := c.list()
	if err != nil || len(names) == 0 {
		return "no step before it left a checkpoint"
	}
	return "the last good checkpoint is " + filepath.Join(c.dir, names[0])
}

// finish adds what the folder says of itself and makes it the finished unit.
func (e *Experiment) finish(ex Executor, u *Unit, dir string, started time.Time) error {
	if err := checkResults(dir); err != nil {
		return fmt.Errorf("checking what the unit wrote: %s", err)
	}
	record := unitRecord{ID: u.ID, Kind: u.Kind, Label: u.Label, Settings: u.Settings}
	if err := writeJSON(filepath.Join(dir, unitFile), record); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, ProvenanceFile), e.provenance(u, ex, started)); err != nil {
		return err
	}
	return u.seal(dir)
}

// clearFailure forgets why the unit failed last.
func (u *Unit) clearFailure() error {
	return disk.Remove(filepath.Join(u.Work, failureFile))
}

// Pending lists the units that [Experiment.Run] would execute.
func (e *Experiment) Pending(only []string) ([]*Unit, error) {
	chosen, err := e.choose(only)
	if err != nil {
		return nil, err
	}
	var pending []*Unit
	for _, u := range chosen {
		state, err := e.State(u)
		if err != nil {
			return nil, err
		}
		if state != Done {
			pending = append(pending, u)
		}
	}
	return pending, nil
}
