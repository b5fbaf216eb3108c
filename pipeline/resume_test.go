package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"metalora/onnx/kernels"
	"metalora/pipeline/fault"
)

// stopper is a progress that asks for a stop after so many steps of this attempt.
type stopper struct {
	Quiet
	left  int
	stop  context.CancelFunc
	from  []int // the steps that lay behind at each attempt
	notes []string
}

func (s *stopper) Expect(done, _ int) { s.from = append(s.from, done) }
func (s *stopper) Note(text string)   { s.notes = append(s.notes, text) }
func (s *stopper) Step(float64, int) {
	if s.left--; s.left == 0 {
		s.stop()
	}
}

// everyRun opens the experiment of all methods in a new folder.
func everyRun(t *testing.T, sets ...string) (*Experiment, *executor) {
	t.Helper()
	c, err := Parse("every.yaml", []byte(every), sets)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(c, filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	ex, err := newExecutor(c)
	if err != nil {
		t.Fatal(err)
	}
	return e, ex
}

// deterministic are the files of a folder that no comparison excludes.
func deterministic(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == runsFolder {
			return fs.SkipDir
		}
		if err != nil || entry.IsDir() || entry.Name() == ProvenanceFile || entry.Name() == manifestFile {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameFiles(t *testing.T, want, got string) {
	t.Helper()
	a, b := deterministic(t, want), deterministic(t, got)
	if len(a) != len(b) || len(a) < 3 {
		t.Errorf("%d files and %d", len(a), len(b))
	}
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			t.Errorf("%s differs from the undisturbed run's", name)
		}
	}
}

// TestResume: a unit that is stopped again and again, between steps, within them and while it scores, ends with the bytes of
// one that never stopped, dropout on: weights, discarded heads and adapters, results.json, metrics.jsonl.
func TestResume(t *testing.T) {
	calm, ex := everyRun(t)
	rough, _ := everyRun(t)
	random := rand.New(rand.NewPCG(7, 0))
	for i := range calm.Units {
		u := &calm.Units[i]
		if u.Kind == KindAdapt && (u.Method != "sr" || u.Family == "none" || u.Turns != AllTurns) || u.Method == "none" {
			continue
		}
		t.Run(u.Label, func(t *testing.T) {
			if err := calm.RunUnit(t.Context(), ex, u, Quiet{}); err != nil {
				t.Fatal(err)
			}
			sameState(t, calm.Config, ex, i)
			r := &rough.Units[i]
			p := disturb(t, rough, ex, r, random)
			sameFiles(t, u.Dir, r.Dir)
			if got := rough.Provenance(r).Interruptions; got != len(p.from)-1 || got == 0 {
				t.Errorf("%d interruptions, %d attempts", got, len(p.from))
			}
			if last := p.from[len(p.from)-1]; last == 0 {
				t.Error("the last attempt began anew")
			}
		})
	}
}

// sameState compares the checkpoint after three steps of a unit that was stopped there alone with that of one that had been stopped
// before: weights, moments, AdamW's counts, results and metrics so far.
func sameState(t *testing.T, c *Config, ex *executor, unit int) {
	t.Helper()
	var newest []string
	for _, before := range []int{0, 1} {
		e, err := Open(c, filepath.Join(t.TempDir(), "run"))
		if err != nil {
			t.Fatal(err)
		}
		u := &e.Units[unit]
		for _, id := range u.Needs {
			if err := e.RunUnit(t.Context(), ex, e.Unit(id), Quiet{}); err != nil {
				t.Fatal(err)
			}
		}
		if before > 0 {
			stopAfter(t, e, ex, u, before)
		}
		stopAfter(t, e, ex, u, 3-before)
		checkpoints := checkpoints{dir: filepath.Join(u.Work, checkpointsFolder)}
		names, err := checkpoints.list()
		if err != nil || len(names) != 1+before {
			t.Fatalf("checkpoints %q, %v", names, err)
		}
		newest = append(newest, filepath.Join(checkpoints.dir, names[0]))
	}
	sameFiles(t, newest[0], newest[1])
}

// disturb runs a unit to its end with two stops at random points: the first between steps, the second a moment after one. The
// first is no matter of time: a whole unit can take less than a moment.
func disturb(t *testing.T, e *Experiment, ex Executor, u *Unit, random *rand.Rand) *stopper {
	t.Helper()
	p := &stopper{}
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithCancel(t.Context())
		p.left, p.stop = 1+random.IntN(3), cancel
		if wait := time.Duration(random.IntN(4)) * time.Millisecond; attempt > 1 && wait > 0 {
			p.stop = func() { time.AfterFunc(wait, cancel) }
		}
		if attempt > 2 {
			p.left = 0 // to the end
		}
		err := e.RunUnit(ctx, ex, u, p)
		cancel()
		switch {
		case err == nil:
			return p
		case fault.Code(err) != fault.CodeStopped || !strings.Contains(err.Error(), "go on from its checkpoint"):
			t.Fatal(err)
		}
	}
}

// stopAfter runs a unit until so many steps of this attempt are done.
func stopAfter(t *testing.T, e *Experiment, ex Executor, u *Unit, steps int) *stopper {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := &stopper{left: steps, stop: cancel}
	if err := e.RunUnit(ctx, ex, u, p); !errors.Is(err, fault.Stopped) {
		t.Fatalf("got %v, want a stop", err)
	}
	return p
}

// TestElsewhere: another kind of CPU may give other bits, so going on there has to be allowed and leaves a mark.
func TestElsewhere(t *testing.T) {
	e, ex := everyRun(t)
	u := &e.Units[1]
	stopAfter(t, e, ex, u, 2)
	c := checkpoints{dir: filepath.Join(u.Work, checkpointsFolder)}
	names, err := c.list()
	if err != nil || len(names) != 1 {
		t.Fatalf("checkpoints %q, %v", names, err)
	}
	m, err := readManifest(filepath.Join(c.dir, names[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"cpu", "system", "onnxruntime", "library", "graph", "device", "kernels"} {
		if m.Environment[key] == "" {
			t.Errorf("the checkpoint does not say %s: %v", key, m.Environment)
		}
	}
	m.Environment["cpu"] = "another"
	if err := writeManifest(filepath.Join(c.dir, names[0]), m.Environment); err != nil {
		t.Fatal(err)
	}
	if err := e.RunUnit(t.Context(), ex, u, Quiet{}); fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), `cpu was "another"`) {
		t.Fatalf("got %v, want a refusal that says what differs", err)
	}
	ex.config.Checkpoint.Elsewhere = true
	if err := e.RunUnit(t.Context(), ex, u, Quiet{}); err != nil {
		t.Fatal(err)
	}
	if p := e.Provenance(u); len(p.Elsewhere) != 1 || !strings.Contains(p.Elsewhere[0], `cpu was "another"`) {
		t.Errorf("provenance %+v", p)
	}
	if lines := strings.Join(e.Environment(), "\n"); !strings.Contains(lines, "1 units went on from a checkpoint of another kind") {
		t.Errorf("the report says %s", lines)
	}
}

// TestKernelsSwitched: a training that began with kernels does not go on without them, nor the other way round, unless that is
// allowed and leaves a mark; the refusal says how it goes on as it began.
func TestKernelsSwitched(t *testing.T) {
	if !kernels.Supported() {
		t.Skip("no kernels on this machine")
	}
	for own, after := range map[bool]string{true: kernels.None, false: kernels.Identity()} {
		e, ex := everyRun(t)
		u := &e.Units[1]
		ex.config.Kernels = own
		stopAfter(t, e, ex, u, 2)
		ex.config.Kernels = !own
		err := e.RunUnit(t.Context(), ex, u, Quiet{})
		if fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), fmt.Sprintf("and is %q", after)) || !strings.Contains(err.Error(), fmt.Sprint("--set kernels=", own, ",")) {
			t.Fatalf("begun with kernels %v: got %v, want a refusal that says what differs and how to go on", own, err)
		}
		ex.config.Checkpoint.Elsewhere = true
		if err := e.RunUnit(t.Context(), ex, u, Quiet{}); err != nil {
			t.Fatal(err)
		}
		if p := e.Provenance(u); len(p.Elsewhere) != 1 || !strings.Contains(p.Elsewhere[0], "kernels was") || p.Engine[kernelsKey] != after {
			t.Errorf("begun with kernels %v: provenance %+v", own, p)
		}
	}
}

// TestKilledTraining: a process that is killed while it trains leaves a checkpoint from which another one ends with the
// same bits.
func TestKilledTraining(t *testing.T) {
	const minutes = "checkpoint.minutes=0"
	if dir := os.Getenv("METALORA_TEST_KILL"); dir != "" {
		c, err := Parse("every.yaml", []byte(every), []string{minutes})
		if err != nil {
			t.Fatal(err)
		}
		e, err := Open(c, dir)
		if err != nil {
			t.Fatal(err)
		}
		ex, err := newExecutor(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Fatal(e.RunUnit(t.Context(), ex, &e.Units[1], &stopper{left: 5, stop: func() {
			fmt.Println("five steps")
			time.Sleep(time.Minute)
		}}))
	}
	e, ex := everyRun(t, minutes)
	u := &e.Units[1]
	child := exec.Command(os.Args[0], "-test.run=^TestKilledTraining$")
	child.Env = append(os.Environ(), "METALORA_TEST_KILL="+e.Dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	var locked lockedError
	if err := e.RunUnit(t.Context(), ex, u, Quiet{}); !errors.As(err, &locked) {
		t.Errorf("a unit that trains elsewhere: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	p := &stopper{}
	if err := e.RunUnit(t.Context(), ex, u, p); err != nil {
		t.Fatal(err)
	}
	if p.from[0] == 0 {
		t.Error("it began anew")
	}
	calm, _ := everyRun(t)
	if err := calm.RunUnit(t.Context(), ex, &calm.Units[1], Quiet{}); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, calm.Units[1].Dir, u.Dir)
}

// TestCheckpointThatCannotBeWritten: a stop whose checkpoint cannot be written is a failure (exit 1), not a stop with the
// work saved; once the disk is well the unit ends with the same bits.
func TestCheckpointThatCannotBeWritten(t *testing.T) {
	e, ex := everyRun(t)
	u := &e.Units[1]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	inTheWay := filepath.Join(u.Work, checkpointsFolder)
	p := &stopper{left: 2, stop: func() {
		write(t, inTheWay, "no folder")
		cancel()
	}}
	if err := e.RunUnit(ctx, ex, u, p); fault.Code(err) != fault.CodeFailed || !strings.Contains(err.Error(), inTheWay) {
		t.Fatalf("got %v, want a failure that names %s", err, inTheWay)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	if err := e.RunUnit(t.Context(), ex, u, Quiet{}); err != nil {
		t.Fatal(err)
	}
	calm, _ := everyRun(t)
	if err := calm.RunUnit(t.Context(), ex, &calm.Units[1], Quiet{}); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, calm.Units[1].Dir, u.Dir)
}
