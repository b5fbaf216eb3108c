package pipeline

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"metalora/models"
	"metalora/pipeline/fault"
	"metalora/pipeline/machine"
	"metalora/pipeline/train"
)

// weighty is an experiment whose units take two to six times what a process takes that does nothing, in different ways:
// weights with moments, activations, an inner loop, scoring alone.
const weighty = `
synthetic: {personas: {retrain: 2, test: 2}, dialogues: 4, turns: 4}
model: {dropout: 0.1, init: {hidden: 192, layers: 4, heads: 4, vocabulary: 20000}}
seeds: [0]
tasks: {retrain: {ranks: 1-2, held_out: 1}, test: {ranks: 1, held_out: 1}}
data: {turns: {retrain: 4, test: 4}}
retrain: {methods: [sr, reptile], epochs: 1, batch: 2, inner: {reptile_steps: 2}}
adapt: {families: [lora-4, full, none], epochs: 1, batch: 2}
`

// weightyUnits are those of it that are run.
var weightyUnits = []string{"retrain *", "adapt sr *"}

func weightyRun(t *testing.T, dir string, sets ...string) *Experiment {
	t.Helper()
	c, err := Parse("weighty.yaml", []byte(weighty), sets)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(c, dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestMemoryEstimate: what plan says before the first unit is within 25 % of the peak of a process that runs a unit. Each has a
// process of its own: what an allocator keeps of a unit before is none of its need.
func TestMemoryEstimate(t *testing.T) {
	if dir := os.Getenv("METALORA_TEST_MEMORY"); dir != "" {
		e := weightyRun(t, dir)
		ex, err := NewExecutor(e.Config)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Run(t.Context(), ex, []string{os.Getenv("METALORA_TEST_UNIT")}, Quiet{}); err != nil {
			t.Fatal(err)
		}
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says what a unit's own peak is")
	}
	e := weightyRun(t, filepath.Join(t.TempDir(), "run"))
	estimate := e.memory()
	units, err := e.choose(weightyUnits)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range units {
		child := exec.Command(os.Args[0], "-test.run=^TestMemoryEstimate$")
		child.Env = append(os.Environ(), "METALORA_TEST_MEMORY="+e.Dir, "METALORA_TEST_UNIT="+u.Label)
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		want, got := float64(e.Provenance(u).PeakBytes), float64(estimate(u))
		t.Logf("%-40s estimated %4.0f MiB, took %4.0f MiB: %.2f", u.Label, got/(1<<20), want/(1<<20), got/want)
		if math.Abs(got/want-1) > 0.25 {
			t.Errorf("%s: estimated %.0f MiB, took %.0f MiB", u.Label, got/(1<<20), want/(1<<20))
		}
	}
}

// TestMemoryShort: a training that takes more than there is does not begin, with exit code 1 and what to do; where the
// configuration says so it is tried with a warning.
func TestMemoryShort(t *testing.T) {
	here := machine.Now()
	if here.Available == 0 {
		t.Skip("this system does not say how much memory there is")
	}
	// Word embeddings alone of the size of all memory, of which no page is ever touched.
	shape := func(hidden int, vocabulary int64) models.Architecture {
		c := weightyRun(t, t.TempDir(), fmt.Sprintf("model.init={hidden: %d, layers: 1, heads: 1, intermediate: 8, vocabulary: %d}", hidden, vocabulary)).Config
		a, err := c.architecture()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	s := settings{spec: train.Spec{Architecture: shape(1024, here.Total/4/1024), Trains: train.Base | train.Head}, method: train.SR, memory: MemoryRefuse,
		tasks: []train.Task{{Train: []train.Turn{{}}}}}
	s.tasks[0].Train[0].Batch = train.Shape{Rows: 2, Length: 8}.Full()
	p := &stopper{}
	err := s.checkMemory(p)
	if fault.Code(err) != fault.CodeFailed || !strings.Contains(err.Error(), "memory short") || !strings.Contains(err.Error(), "memory=warn") {
		t.Errorf("got %v, want exit code 1 and what to do", err)
	}
	s.memory = MemoryWarn
	if err := s.checkMemory(p); err != nil || len(p.notes) != 1 || !strings.Contains(p.notes[0], "memory short") {
		t.Errorf("got %v and the notes %q, want a warning", err, p.notes)
	}
	s.spec.Architecture = shape(8, 1000)
	p.notes = nil
	if err := s.checkMemory(p); err != nil || len(p.notes) > 0 {
		t.Errorf("got %v and %q for a small model", err, p.notes)
	}
}
