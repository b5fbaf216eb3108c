package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"metalora/convai2"
	"metalora/eval"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
)

// whole is the comparison of configs/convai2-all.yaml over made-up dialogues: 4,860 units.
var whole = []string{"data.train=", "data.valid=", "model.path=", "model.init={hidden: 32, layers: 1, heads: 2}",
	"synthetic={personas: {retrain: 10, test: 10}, dialogues: 6, turns: 4}"}

// generated is an experiment whose units are not trained but drawn, with the files of a run that a report reads.
func generated(t testing.TB, done func(*Unit) bool, sets ...string) *Experiment {
	t.Helper()
	c, err := Load("../configs/convai2-all.yaml", append(whole, sets...))
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(c, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMaterial(c)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := m.testTasks(0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range e.Units {
		if u := &e.Units[i]; done(u) {
			drawUnit(t, u, tasks)
		}
	}
	return e
}

// drawUnit writes what a report reads of a finished unit. Methods differ a little, so that the report has something to say.
func drawUnit(t testing.TB, u *Unit, tasks []convai2.Task) {
	t.Helper()
	if err := os.MkdirAll(u.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s := rng.New(uint64(u.Seed), u.Label)
	r := &Result{Unit: u.ID, Kind: u.Kind, Method: u.Method, Seed: u.Seed, Family: u.Family, Task: u.Name(), Parameters: 1000, Steps: 60,
		RateFactor: u.RateFactor, Limit: max(0, u.Turns), TrainTurns: 16}
	var lines bytes.Buffer
	skill := 1 + float64(len(u.Method)%5)/4
	if u.Kind == KindAdapt {
		task := tasks[slices.IndexFunc(tasks, func(t convai2.Task) bool { return t.Rank == u.Task })]
		r.HeldOutTurns = len(task.HeldOut)
		for epoch := range 10 {
			r.Turns = drawScores(s, task.HeldOut, skill*float64(epoch+1)/10)
			r.Epochs = append(r.Epochs, eval.Epoch{Epoch: epoch + 1, Loss: 0.2, HeldOut: eval.Measure(r.Turns)})
		}
	} else if u.Method != "none" {
		add := func(x any) {
			line, _ := json.Marshal(x)
			lines.Write(append(line, '\n'))
		}
		for step := range 600 {
			add(train.Result{Step: step, Loss: 0.3 / float64(step+1)})
		}
		for epoch := range 10 {
			e := eval.Epoch{Epoch: epoch + 1, HeldOut: eval.Measure(drawScores(s, tasks[0].HeldOut, skill))}
			r.Epochs = append(r.Epochs, e)
			add(e)
		}
		r.Kept, r.Steps = 1, 600
	} else {
		r.Steps = 0
	}
	p := Provenance{Host: "here", Seconds: 2, PeakBytes: 300 << 20}
	m := manifest{Format: manifestFormat, Files: map[string]fileMark{}}
	put := func(name string, data []byte, err error) { // as a run writes it, but that nothing has to outlive a crash
		sum := sha256.Sum256(data)
		m.Files[name] = fileMark{int64(len(data)), hex.EncodeToString(sum[:])}
		if err := errors.Join(err, os.WriteFile(filepath.Join(u.Dir, name), data, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range map[string]any{ResultsFile: r, ProvenanceFile: p, unitFile: unitRecord{u.ID, u.Kind, u.Label, u.Settings}} {
		data, err := json.MarshalIndent(x, "", " ")
		put(name, data, err)
	}
	if u.Kind == KindRetrain {
		put(MetricsFile, lines.Bytes(), nil)
	}
	data, err := m.encode()
	put(manifestFile, data, err)
}

// rewrite puts another result into a finished unit, as if it had come out that way.
func rewrite(t *testing.T, u *Unit, r *Result) {
	t.Helper()
	if err := errors.Join(r.write(u.Dir), os.Remove(filepath.Join(u.Dir, manifestFile)), writeManifest(u.Dir, nil)); err != nil {
		t.Fatal(err)
	}
}

func drawScores(s *rng.Stream, samples []convai2.Sample, skill float64) []eval.TurnScore {
	var turns []eval.TurnScore
	for _, x := range samples {
		turn := eval.TurnScore{Dialogue: x.Dialogue, Turn: x.Turn, Gold: x.Gold}
		for i := range x.Candidates {
			score := s.Normal()
			if i == x.Gold {
				score += skill
			}
			turn.Scores = append(turn.Scores, float32(score))
		}
		turns = append(turns, turn)
	}
	return turns
}

// TestReportOfHalfARun: what is not done is named, and no mean stands in for it.
func TestReportOfHalfARun(t *testing.T) {
	few := []string{"seeds=[0, 1]", "retrain.methods=[sr, meta-lora-8, reptile]", "adapt.families=[lora-8, none]", "adapt.turns=[0, 4, all]", "tasks.test.ranks=1-2"}
	lacks := "adapt meta-lora-8 → lora-8 task 2 seed 1"
	e := generated(t, func(u *Unit) bool { return u.Label != lacks && u.Label != "retrain reptile seed 0" }, few...)
	study, err := Report(e)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"retrain reptile seed 0 (todo)", lacks + " (todo)"}; !slices.Equal(study.Missing, want) {
		t.Errorf("missing %q, want %q", study.Missing, want)
	}
	for _, r := range study.Results() {
		if whole := r.Method != "meta-lora-8" || r.Adaptation != "lora-8"; r.Complete() != whole || (r.Accuracy == r.Accuracy) != whole {
			t.Errorf("%s with %s: complete %v, mean %v", r.Method, r.Adaptation, r.Complete(), r.Accuracy)
		}
	}
	for _, c := range study.Comparisons() {
		if c.Adaptation == "lora-8" && (c.A == "meta-lora-8" || c.B == "meta-lora-8") {
			t.Errorf("compared: %s with %s", c.A, c.B)
		}
	}
	if study.Question != "Does meta-retraining adapt better to unseen personas than sr, and is it sure?" || !slices.Equal(study.Meta, []string{"meta-lora-8", "reptile"}) {
		t.Errorf("question %q about %q", study.Question, study.Meta)
	}
	if !strings.HasPrefix(study.Answer()[0], "Preliminary, as 2 units are not done: ") {
		t.Errorf("answer %q", study.Answer())
	}
	if len(study.Examples) == 0 {
		t.Fatal("no examples")
	}
	for _, x := range study.Examples {
		if x.Context == "" || x.Reply == "" || x.Instead == "" || x.Reply == x.Instead {
			t.Errorf("example without its text: %+v", x)
		}
	}
	if err := study.WriteReport(e.ReportDir()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"turns-lora-8", "scatter-lora-8", "scatter-none"} {
		if _, err := os.Stat(filepath.Join(e.ReportDir(), "figures", name+".png")); err != nil {
			t.Error(err)
		}
	}
}

// TestRateChoiceIsReported: what was selected on what, where learning rates were searched.
func TestRateChoiceIsReported(t *testing.T) {
	e := generated(t, func(*Unit) bool { return true }, "seeds=[0, 1]", "retrain.methods=[none, sr]", "retrain.rate_factors=[0.5, 1, 2]", "adapt.families=[none]", "tasks.test.ranks=1-2")
	for i := range e.Units { // drawn units know nothing of what they start from
		u := &e.Units[i]
		if u.Kind != KindAdapt || u.Method != "sr" {
			continue
		}
		r, err := readResult(u.Dir)
		if err != nil {
			t.Fatal(err)
		}
		r.RateFactor = 2 - float64(u.Seed)
		rewrite(t, u, r)
	}
	study, err := Report(e)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(study.Facts)
	for _, want := range []string{"the learning rate of each method and seed, among [0.5 1 2] times", "{Learning rates chosen sr seed 0: x2, sr seed 1: x1}"} {
		if !strings.Contains(strings.NewReplacer("[Learning", "{Learning", "x1]", "x1}").Replace(text), want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}
