package pipeline

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metalora/models"
	"metalora/pipeline/disk"
	"metalora/pipeline/disk/disktest"
	"metalora/pipeline/fault"
)

// What task torture asks for.
var (
	torture = flag.String("torture", "", "add to `FILE` what was tried")
	points  = flag.Int("points", 6, "try about `N` failure points of each kind, spread evenly; 0: all")
)

// tell adds a line to the summary that the torture is asked for.
func tell(t *testing.T, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	t.Log(line)
	if *torture == "" {
		return
	}
	file, err := os.OpenFile(*torture, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintln(file, "* "+line)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// shortRun is a retraining and an adaptation that write of everything a run writes: checkpoints, old ones that go, a model, a
// tokenizer, discarded heads and adapters, an adapter.
var shortRun = []string{"retrain.methods=[meta-lora-2]", "adapt.families=[lora-1]", "adapt.turns=[all]", "checkpoint.steps=4"}

// witness remembers what a run said.
type witness struct {
	Quiet
	from  []int // where each unit was taken up
	saved int   // the last step of the unit under way whose checkpoint has become durable
	asked int   // the last whose checkpoint has begun

	checkpoints int // of all units
}

func (w *witness) Expect(done, _ int) { w.from = append(w.from, done) }
func (w *witness) Note(text string) {
	var step int
	if n, _ := fmt.Sscanf(text, "checkpoint after step %d:", &step); n == 1 {
		w.checkpoints++
		w.saved, w.asked = w.asked, step // one begins when the one before has become durable
	}
}

// torment is the same short run again and again, on a disk that goes wrong.
type torment struct {
	calm *Experiment // what no failure met
	ex   *executor
}

// all runs every unit until one fails, as a new process would, and says how many it got through.
func (h *torment) all(t *testing.T, e *Experiment, w *witness) (done int, err error) {
	t.Helper()
	h.ex.bases = map[string]*models.Folder{}
	for i := range e.Units {
		w.saved, w.asked = 0, 0
		if err := e.RunUnit(t.Context(), h.ex, &e.Units[i], w); err != nil {
			return i, err
		}
	}
	return len(e.Units), nil
}

// open opens the run in a folder.
func (h *torment) open(t *testing.T, dir string) *Experiment {
	t.Helper()
	e, err := Open(h.calm.Config, dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// strike lets a failure meet one operation of a run, looks at what is left, and lets the run go on. It returns "" once there are not that many
// operations.
func (h *torment) strike(t *testing.T, failure disktest.Failure, at int) (met string) {
	t.Helper()
	root := t.TempDir()
	d, err := disktest.New(root, failure, at)
	if err != nil {
		t.Fatal(err)
	}
	e, w := h.open(t, filepath.Join(root, "run")), &witness{}
	restore := disk.Use(d)
	done, err := h.all(t, e, w)
	restore()
	if met = d.Struck(); met == "" {
		return ""
	}
	where := fmt.Sprintf("%v at operation %d (%s)", failure, at, met)
	if err != nil && !errors.Is(err, disktest.ErrGone) && (fault.Code(err) != fault.CodeFailed || !strings.Contains(err.Error(), root)) {
		t.Errorf("%s: exit %d and %v, want 1 and the file", where, fault.Code(err), err)
	}
	if err := d.Restart(); err != nil {
		t.Fatal(err)
	}
	h.goOn(t, e.Dir, where, done, w.saved)
	return met
}

// goOn checks what a run that was struck has left after so many finished units and a checkpoint after so many steps of the next, and that it
// ends with the bits of the undisturbed one.
func (h *torment) goOn(t *testing.T, dir, where string, done, saved int) {
	t.Helper()
	e, w := h.open(t, dir), &witness{}
	states, err := e.States()
	if err != nil {
		t.Errorf("%s: %v", where, err)
	}
	for i, state := range states {
		if i < done && state != Done {
			t.Errorf("%s: %q was done and is %s", where, e.Units[i].Label, state)
		}
	}
	if exists(dir) && exists(filepath.Join(dir, unitsFolder)) {
		if problems, err := Verify(dir); err != nil || len(problems) > 0 {
			t.Errorf("%s: it left %v, %v", where, problems, err)
		}
	}
	sound, err := disktest.New(filepath.Dir(dir), disktest.None, 0) // which does not wait for the real one
	if err != nil {
		t.Fatal(err)
	}
	restore := disk.Use(sound)
	_, err = h.all(t, e, w)
	restore()
	if err != nil {
		t.Fatalf("%s: the run does not go on: %v", where, err)
	}
	if done < len(e.Units) && states[done] != Done && (len(w.from) == 0 || w.from[0] < saved) {
		t.Errorf("%s: it went on from step %v, but a checkpoint after step %d was durable", where, w.from, saved)
	}
	for i := range e.Units {
		sameFiles(t, h.calm.Units[i].Dir, e.Units[i].Dir)
	}
	if left, err := os.ReadDir(filepath.Join(dir, workFolder)); err != nil || len(left) > 0 {
		t.Errorf("%s: %v is left, %v", where, left, err)
	}
	if problems, err := Verify(dir); err != nil || len(problems) > 0 {
		t.Errorf("%s: in the end %v, %v", where, problems, err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// TestTortureDisk: at each operation on the disk of a short run the process is killed, the power is cut, the disk is full, or the
// operation fails. What had been finished is still there and whole, and the same command ends with the same bits: weights,
// results.json, metrics.jsonl, and so the optimiser's state on the way.
func TestTortureDisk(t *testing.T) {
	calm, ex := everyRun(t, shortRun...)
	h := &torment{calm, ex}
	d, err := disktest.New(filepath.Dir(calm.Dir), disktest.None, 0)
	if err != nil {
		t.Fatal(err)
	}
	restore := disk.Use(d)
	w := &witness{}
	_, err = h.all(t, calm, w)
	restore()
	if err != nil {
		t.Fatal(err)
	}
	n := d.Operations()
	if w.checkpoints < 4 || n < 150 {
		t.Fatalf("%d operations, %d checkpoints: too few to show anything", n, w.checkpoints)
	}
	every := 1
	if *points > 0 {
		every = max(1, n / *points)
	}
	tried := 0
	for kind, failure := range disktest.Failures {
		t.Run(failure.String(), func(t *testing.T) {
			for at := 1 + kind*every/len(disktest.Failures); h.strike(t, failure, at) != ""; at += every {
				tried++
			}
		})
	}
	if t.Failed() {
		return
	}
	tell(t, "A run of %d units, %d operations on disk: %d failures injected, of %d kinds; each time the run went on to the same bits.", len(calm.Units), n, tried, len(disktest.Failures))
}
