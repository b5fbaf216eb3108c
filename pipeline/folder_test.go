package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline/fault"
)

// fake is an executor that writes a line and does what a test asks before.
type fake struct {
	ran    []string
	before func(u *Unit, dir string) error
}

func (f *fake) Run(ctx context.Context, u *Unit, dir string, p Progress) error {
	f.ran = append(f.ran, u.Label)
	p.Expect(0, 1)
	if f.before != nil {
		if err := f.before(u, dir); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.Step(0.5, 10)
	return os.WriteFile(filepath.Join(dir, ResultsFile), []byte(`{"unit": "`+u.ID+`"}`), 0o666)
}

func (f *fake) Describe() map[string]any { return map[string]any{"engine": "none"} }

// tiny is an experiment of two retrainings and two adaptations that needs no file.
const tiny = `synthetic: {}
model: {init: {hidden: 8, layers: 1, heads: 2}}
seeds: [0]
tasks: {retrain: {ranks: 1-2}, test: {ranks: 1}}
retrain: {methods: [sr, meta-lora-2]}
adapt: {families: [lora-2]}
`

func open(t *testing.T, dir string, sets ...string) *Experiment {
	t.Helper()
	c, err := Parse("tiny.yaml", []byte(tiny), sets)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(c, dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func states(t *testing.T, e *Experiment) string {
	t.Helper()
	list, err := e.States()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(list)
}

func TestRunWritesWholeUnits(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	e := open(t, dir)
	if got := states(t, e); got != "[todo todo todo todo]" {
		t.Error(got)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("looking at the folder made it")
	}
	ex := &fake{}
	if err := e.Run(t.Context(), ex, nil, Quiet{}); err != nil {
		t.Fatal(err)
	}
	if got := states(t, e); got != "[done done done done]" || len(ex.ran) != 4 {
		t.Error(got, ex.ran)
	}
	var files []string
	for _, u := range e.Units {
		entries, err := os.ReadDir(u.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			files = append(files, entry.Name())
		}
		if p := e.Provenance(&u); p.Host == "" || p.Interruptions != 0 || p.Seconds <= 0 || p.Engine["engine"] != "none" {
			t.Errorf("provenance %+v", p)
		}
	}
	want := strings.Fields(strings.Repeat("manifest.json provenance.json results.json unit.json ", 4))
	if diff := cmp.Diff(want, files); diff != "" {
		t.Error(diff)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, workFolder)); len(left) != 0 {
		t.Errorf("left in work: %v", left)
	}
	if env := e.Environment(); len(env) != 1 || !strings.HasPrefix(env[0], "4 units on ") {
		t.Errorf("%q", env)
	}
	if err := e.Run(t.Context(), ex, nil, Quiet{}); err != nil || len(ex.ran) != 4 {
		t.Errorf("a second run: %v, %v", err, ex.ran)
	}
	written, err := Load(filepath.Join(dir, experimentFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e.Config, written, ignoreOrigins); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyRunsWhatIsNeeded(t *testing.T) {
	e, ex := open(t, t.TempDir()), &fake{}
	if err := e.Run(t.Context(), ex, []string{"adapt sr*"}, Quiet{}); err != nil {
		t.Fatal(err)
	}
	want := []string{"retrain sr seed 0", "adapt sr → lora-2 task 1 seed 0"}
	if diff := cmp.Diff(want, ex.ran); diff != "" {
		t.Error(diff)
	}
	if err := e.RunUnit(t.Context(), ex, &e.Units[3], Quiet{}); fault.Code(err) != fault.CodeFailed || !strings.Contains(err.Error(), "it needs the unit retrain-") {
		t.Errorf("a unit before what it needs: %v", err)
	}
}

func TestStopAndGoOn(t *testing.T) {
	e := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	ex := &fake{before: func(u *Unit, dir string) error {
		if u.Index == 1 {
			write(t, filepath.Join(u.Work, "checkpoint"), "half")
			cancel()
		}
		return nil
	}}
	err := e.Run(ctx, ex, nil, Quiet{})
	if fault.Code(err) != fault.CodeStopped || !strings.Contains(err.Error(), "1 of 4 units are done") || !strings.Contains(err.Error(), e.Units[1].Label) {
		t.Errorf("%v", err)
	}
	if got := states(t, e); got != "[done todo todo todo]" {
		t.Error(got)
	}
	ex.before = func(u *Unit, dir string) error {
		if data, err := os.ReadFile(filepath.Join(u.Work, "checkpoint")); u.Index == 1 && string(data) != "half" {
			return fmt.Errorf("the checkpoint is gone: %v", err)
		}
		return nil
	}
	if err := e.Run(t.Context(), ex, nil, Quiet{}); err != nil {
		t.Fatal(err)
	}
	if p := e.Provenance(&e.Units[1]); p.Interruptions != 1 {
		t.Errorf("%+v", p)
	}
}

func TestFailures(t *testing.T) {
	e := open(t, t.TempDir())
	broken := fault.Numbers(errors.New("loss is NaN at step 3"))
	ex := &fake{before: func(u *Unit, _ string) error {
		if u.Index == 0 {
			return broken
		}
		return nil
	}}
	err := e.Run(t.Context(), ex, nil, Quiet{})
	if fault.Code(err) != fault.CodeNumbers || !strings.Contains(err.Error(), "2 of 4 units are not done") {
		t.Errorf("%v", err)
	}
	if got := states(t, e); got != "[failed done todo done]" {
		t.Error(got)
	}
	if f := e.Failure(&e.Units[0]); f == nil || f.Code != fault.CodeNumbers || !strings.Contains(f.Error, "NaN") {
		t.Errorf("%+v", f)
	}
	ex.before = func(u *Unit, _ string) error {
		if e.Failure(u) != nil {
			return errors.New("the note of the failure is still there")
		}
		return fault.Input(errors.New("bad file"))
	}
	ex.ran = nil
	if err := e.Run(t.Context(), ex, nil, Quiet{}); fault.Code(err) != fault.CodeInput || len(ex.ran) != 1 {
		t.Errorf("%v after %v", err, ex.ran)
	}
	ex.before = func(_ *Unit, dir string) error { return os.Mkdir(filepath.Join(dir, ResultsFile), 0o777) }
	if err := e.RunUnit(t.Context(), ex, &e.Units[0], Quiet{}); err == nil {
		t.Error("a unit without results passes")
	}
	ex.before = nil
	if err := e.Run(t.Context(), ex, nil, Quiet{}); err != nil || states(t, e) != "[done done done done]" {
		t.Errorf("%v, %s", err, states(t, e))
	}
}

// TestKilled: a process that dies at once leaves nothing that a later run would take for a result.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("METALORA_TEST_DIE"); dir != "" {
		e := open(t, dir)
		err := e.Run(t.Context(), &fake{before: func(_ *Unit, tmp string) error {
			write(t, filepath.Join(tmp, ResultsFile), `{"half": `)
			fmt.Println("writing")
			time.Sleep(time.Minute)
			return nil
		}}, nil, Quiet{})
		t.Fatal(err)
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), "METALORA_TEST_DIE="+dir)
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
	e := open(t, dir)
	if got := states(t, e); got != "[running todo todo todo]" {
		t.Error(got)
	}
	var locked lockedError
	if err := e.RunUnit(t.Context(), &fake{}, &e.Units[0], Quiet{}); !errors.As(err, &locked) || fault.Code(err) != fault.CodeFailed ||
		!strings.Contains(err.Error(), fmt.Sprint("process ", child.Process.Pid)) {
		t.Errorf("a unit that runs elsewhere: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if got := states(t, e); got != "[todo todo todo todo]" {
		t.Error(got)
	}
	if err := e.Run(t.Context(), &fake{}, nil, Quiet{}); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, workFolder)); len(left) != 0 {
		t.Errorf("left in work: %v", left)
	}
	if p := e.Provenance(&e.Units[0]); p.Interruptions != 1 {
		t.Errorf("%+v", p)
	}
}

func TestLeftoversOfOthersStayForADay(t *testing.T) {
	e := open(t, t.TempDir())
	u := &e.Units[0]
	young, old := u.Work+".tmp-elsewhere-12-ab", u.Work+".tmp-elsewhere-13-cd"
	write(t, filepath.Join(young, "a"), "")
	write(t, filepath.Join(old, "a"), "")
	before := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(old, before, before); err != nil {
		t.Fatal(err)
	}
	if err := e.RunUnit(t.Context(), &fake{}, u, Quiet{}); err != nil {
		t.Fatal(err)
	}
	_, err1 := os.Stat(young)
	_, err2 := os.Stat(old)
	if err1 != nil || err2 == nil {
		t.Errorf("young: %v, old: %v", err1, err2)
	}
}

// TestSecondCopy: of two copies of a unit the first to finish stays.
func TestSecondCopy(t *testing.T) {
	e := open(t, t.TempDir())
	u := &e.Units[0]
	ex := &fake{before: func(u *Unit, dir string) error { return os.MkdirAll(filepath.Join(u.Dir, "first"), 0o777) }}
	if err := e.RunUnit(t.Context(), ex, u, Quiet{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(u.Dir, "first")); err != nil {
		t.Error(err)
	}
}

func TestAnotherExperiment(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Run(t.Context(), &fake{}, nil, Quiet{}); err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{"seeds=[0, 1]", "seeds=[5]", "retrain.methods=[sr, meta-lora-2, none]", "adapt.families=[last-layer, lora-2, full, none]", "adapt.turns=[0, 5, all]", "retrain.rate_factors=[1, 2]",
		"retrain.methods=[sr, meta-lora-2, reptile, fomaml-2]", "tasks.test.ranks=1-3", "threads=1"} {
		e := open(t, dir, set)
		if err := e.Run(t.Context(), &fake{}, nil, Quiet{}); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
	for set, want := range map[string]string{
		"retrain.epochs=3":           "retrain.epochs: 10 there, 3 now",
		"adapt.lora.targets=[query]": `adapt.lora.targets: [] there, ["query"] now`,
		"tasks.retrain.ranks=1":      `tasks.retrain.ranks: "1-2" there, "1" now`,
		"model.init.hidden=16":       "model.init.hidden: 8 there, 16 now",
	} {
		c, err := Parse("tiny.yaml", []byte(tiny), []string{set})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(c, dir); fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", set, err)
		}
	}
}

func TestCorruptResults(t *testing.T) {
	e := open(t, t.TempDir())
	if err := e.Run(t.Context(), &fake{}, nil, Quiet{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(e.Units[0].Dir, ResultsFile)
	write(t, path, `{"unit": "re`)
	_, err := e.States()
	if fault.Code(err) != fault.CodeInput || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	write(t, filepath.Join(e.Units[1].Dir, unitFile), "")
	c, err := Parse("tiny.yaml", []byte(tiny), []string{"retrain.epochs=3"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c, e.Dir); fault.Code(err) != fault.CodeUsage && fault.Code(err) != fault.CodeInput {
		t.Errorf("%v", err)
	}
}
