package pipeline

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/adapters"
	"metalora/eval"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/fault"
	"metalora/pipeline/train"
)

// every has all methods and all families on a model that trains in no time.
const every = `synthetic: {personas: {retrain: 2, test: 2}, dialogues: 4, turns: 3, candidates: 4, vocabulary: 300}
model: {init: {hidden: 16, layers: 1, heads: 2}}
seeds: [0]
threads: 1
tasks: {retrain: {ranks: 1-2, held_out: 1}, test: {ranks: 1, held_out: 2}}
retrain:
  methods: [none, sr, sr-mixed, sr-heads, sr-lora-2, meta-lora-2, meta-lora-symmetric-2, meta-last-layer, reptile, fomaml-2, anil]
  epochs: 2
  batch: 2
  learning_rate: 3e-2
  inner: {learning_rate: 3e-2, outer_learning_rate: 3e-2, reptile_steps: 2, maml_steps: 2}
adapt: {families: [lora-1, last-layer, full, none], turns: [2, all], epochs: 2, batch: 2, learning_rate: 5e-3, full_learning_rate: 5e-3}
`

// runEvery executes units of the experiment; all checks below look at what it left.
func runEvery(t *testing.T, only []string, sets ...string) (*Experiment, *executor) {
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
	if err := e.Run(t.Context(), ex, only, Quiet{}); err != nil {
		t.Fatal(err)
	}
	return e, ex
}

func unitOf(t *testing.T, e *Experiment, label string) (*Unit, *Result) {
	t.Helper()
	for i := range e.Units {
		if u := &e.Units[i]; u.Label == label {
			r, err := readResult(u.Dir)
			if err != nil {
				t.Fatal(err)
			}
			return u, r
		}
	}
	t.Fatalf("no unit %q", label)
	return nil, nil
}

func TestEveryMethodAndFamily(t *testing.T) {
	e, ex := runEvery(t, []string{"retrain*", "*→ none*", "adapt sr →*"}) // from one base every family
	if len(e.Units) != 11+11*7 {                                          // three families with two sizes each, and none
		t.Errorf("%d units", len(e.Units))
	}
	t.Run("no adaptation", func(t *testing.T) { unadapted(t, e, ex) })
	t.Run("shared LoRA is merged", func(t *testing.T) { sharedLoRA(t, e, ex) })
	t.Run("full fine-tuning leaves the base", func(t *testing.T) { fullLeavesBase(t, e) })
	t.Run("learning curve", func(t *testing.T) { curve(t, e) })
	t.Run("steps", func(t *testing.T) { equalSteps(t, e) })
}

// TestScoreLast: an adaptation that scores its last epoch alone ends with the scores of one that scores each.
func TestScoreLast(t *testing.T) {
	const label = "adapt none → lora-1 task 1 seed 0"
	each, _ := runEvery(t, []string{label})
	last, _ := runEvery(t, []string{label}, "adapt.score=last")
	a, want := unitOf(t, each, label)
	b, got := unitOf(t, last, label)
	if a.ID == b.ID {
		t.Errorf("both are unit %s, though they hold different epochs", a.ID)
	}
	if len(want.Epochs) != 2 || len(got.Epochs) != 1 {
		t.Fatalf("epochs %v and %v, want two and one", want.Epochs, got.Epochs)
	}
	if diff := cmp.Diff(want.Epochs[1], got.Epochs[0]); diff != "" {
		t.Errorf("last epoch, each scored (-) and it alone (+):\n%s", diff)
	}
	if diff := cmp.Diff(want.Turns, got.Turns); diff != "" {
		t.Errorf("scores, each epoch scored (-) and the last alone (+):\n%s", diff)
	}
	study, err := Report(last)
	if err != nil {
		t.Fatal(err)
	}
	if results := study.Results(); !math.IsNaN(results[0].Best) {
		t.Errorf("the best of epochs that were not scored is %v", results[0].Best)
	}
}

// unadapted: without adaptation a method scores with what it threw away. The adapters are merged into the base here, which
// is another way to the same numbers.
func unadapted(t *testing.T, e *Experiment, ex *executor) {
	for _, method := range e.Config.Retrain.Methods {
		if method == "none" {
			continue
		}
		u, r := unitOf(t, e, "adapt "+method+" → none task 1 seed 0")
		model, discarded := filepath.Join(u.NeedDirs[0], "model"), filepath.Join(u.NeedDirs[0], "discarded")
		base, err := models.Load(model)
		if err != nil {
			t.Fatal(err)
		}
		tasks, _, err := ex.encodeAll(ex.test[0], 0, base.Architecture)
		if err != nil {
			t.Fatal(err)
		}
		var votes [][]float32
		for _, weights := range mergedVoters(t, base, discarded) {
			votes = append(votes, scoresWith(t, base, weights, tasks[0].HeldOut))
		}
		if want := map[bool]int{true: 2, false: 1}[methodsByKind[kindOf(t, method)].PerTask != 0]; len(votes) != want {
			t.Errorf("%s: %d heads, want %d", method, len(votes), want)
		}
		at, spread := 0, 0.0
		for _, turn := range r.Turns {
			for _, got := range turn.Scores {
				mean := 0.0
				for _, v := range votes {
					mean += float64(v[at]) / float64(len(votes))
				}
				spread = math.Max(spread, math.Abs(mean-float64(votes[0][0])))
				if math.Abs(mean-float64(got)) > 2e-6 {
					t.Fatalf("%s: score %d is %v, want %v", method, at, got, mean)
				}
				at++
			}
		}
		if at == 0 || spread < 2e-5 {
			t.Errorf("%s: %d scores that hardly differ: they compare nothing", method, at)
		}
	}
	if _, r := unitOf(t, e, "adapt none → none task 1 seed 0"); len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "chance") {
		t.Errorf("no retraining and no adaptation is not called chance: %q", r.Notes)
	}
}

func kindOf(t *testing.T, method string) string {
	t.Helper()
	v, err := ParseMethod(method)
	if err != nil {
		t.Fatal(err)
	}
	return v.Kind
}

// mergedVoters reads each discarded head, or adapter and head merged into the base.
func mergedVoters(t *testing.T, base *models.Folder, discarded string) []safetensors.Tensors {
	t.Helper()
	heads, _ := filepath.Glob(filepath.Join(discarded, "head.safetensors"))
	more, _ := filepath.Glob(filepath.Join(discarded, "*", "head.safetensors"))
	var all []safetensors.Tensors
	for _, path := range append(heads, more...) {
		head, err := safetensors.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, merged(base.Tensors, head))
	}
	folders, _ := filepath.Glob(filepath.Join(discarded, "*", "adapter_config.json"))
	for _, path := range folders {
		a, err := adapters.Load(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		weights, err := adapters.Merge(base.Tensors, a)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, weights)
	}
	return all
}

// scoresWith are the scores of all candidates of all turns, one after another.
func scoresWith(t *testing.T, base *models.Folder, weights safetensors.Tensors, turns []train.Turn) []float32 {
	t.Helper()
	var all []float32
	for _, turn := range scored(t, base, weights, turns) {
		all = append(all, turn.Scores...)
	}
	return all
}

func scored(t *testing.T, base *models.Folder, weights safetensors.Tensors, turns []train.Turn) []eval.TurnScore {
	t.Helper()
	engine, err := train.NewEngine(train.Spec{Architecture: base.Architecture, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	set, err := train.NewSet(weights, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	scores, err := engine.Evaluate(t.Context(), turns, set)
	if err != nil {
		t.Fatal(err)
	}
	return scores
}

// sharedLoRA: the saved base of sr-lora, which has no adapter, and its head reach what the kept epoch reached with it.
func sharedLoRA(t *testing.T, e *Experiment, ex *executor) {
	u, r := unitOf(t, e, "retrain sr-lora-2 seed 0")
	base, err := models.Load(filepath.Join(u.Dir, "model"))
	if err != nil {
		t.Fatal(err)
	}
	head, err := safetensors.Load(filepath.Join(u.Dir, "discarded", "head.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	tasks, _, err := ex.encodeAll(ex.retrain, 0, base.Architecture)
	if err != nil {
		t.Fatal(err)
	}
	var scores [][]eval.TurnScore
	for _, task := range tasks {
		scores = append(scores, scored(t, base, merged(base.Tensors, head), task.HeldOut))
	}
	got, want := meanOverTasks(scores), r.Epochs[r.Kept-1].HeldOut
	if math.Abs(got.MRR-want.MRR) > 1e-9 || got.Accuracy != want.Accuracy {
		t.Errorf("merged: %+v, with the adapter: %+v", got, want)
	}
	for _, other := range []string{"retrain sr seed 0", "retrain none seed 0"} {
		v, _ := unitOf(t, e, other)
		plain, err := models.Load(filepath.Join(v.Dir, "model"))
		if err != nil {
			t.Fatal(err)
		}
		const name = "roberta.encoder.layer.0.attention.self.value.weight"
		if slices.Equal(plain.Tensors[name].Data, base.Tensors[name].Data) {
			t.Errorf("the base is that of %q", other)
		}
	}
}

// fullLeavesBase: units that share a loaded base do not see each other: LoRA before and after full fine-tuning is the same.
func fullLeavesBase(t *testing.T, e *Experiment) {
	c := e.Config
	ex, err := newExecutor(c)
	if err != nil {
		t.Fatal(err)
	}
	u, want := unitOf(t, e, "adapt sr → last-layer task 1 seed 0")
	full, r := unitOf(t, e, "adapt sr → full task 1 seed 0")
	if r.Parameters <= want.Parameters {
		t.Errorf("full fine-tuning trains %d parameters, the last layer %d", r.Parameters, want.Parameters)
	}
	if slices.Equal(r.Turns[0].Scores, want.Turns[0].Scores) {
		t.Error("full and last-layer fine-tuning score the same")
	}
	for _, unit := range []*Unit{full, u} {
		if err := ex.Run(t.Context(), unit, t.TempDir(), Quiet{}); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := ex.Run(t.Context(), u, dir, Quiet{}); err != nil {
		t.Fatal(err)
	}
	again, err := readResult(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Turns) == 0 || !slices.Equal(again.Turns[0].Scores, want.Turns[0].Scores) {
		t.Error("after full fine-tuning of the same base another unit scores otherwise")
	}
}

func curve(t *testing.T, e *Experiment) {
	_, two := unitOf(t, e, "adapt sr → lora-1 task 1 seed 0 turns 2")
	_, all := unitOf(t, e, "adapt sr → lora-1 task 1 seed 0")
	_, zero := unitOf(t, e, "adapt sr → none task 1 seed 0")
	if two.TrainTurns != 2 || two.Limit != 2 || all.TrainTurns != 6 || all.Limit != 0 || zero.TrainTurns != 0 || zero.Steps != 0 {
		t.Errorf("trained on %d (limit %d), %d (limit %d) and %d turns", two.TrainTurns, two.Limit, all.TrainTurns, all.Limit, zero.TrainTurns)
	}
	if two.HeldOutTurns != all.HeldOutTurns || zero.HeldOutTurns != all.HeldOutTurns {
		t.Error("points of a learning curve are scored on different turns")
	}
}

func equalSteps(t *testing.T, e *Experiment) {
	_, sr := unitOf(t, e, "retrain sr seed 0")
	for _, method := range []string{"sr-mixed", "sr-heads", "sr-lora-2", "meta-lora-2", "meta-lora-symmetric-2", "meta-last-layer"} {
		if _, r := unitOf(t, e, "retrain "+method+" seed 0"); r.Steps != sr.Steps || r.Tokens != sr.Tokens {
			t.Errorf("%s: %d steps over %d tokens, sr: %d over %d", method, r.Steps, r.Tokens, sr.Steps, sr.Tokens)
		}
	}
}

// TestRateSearch: an adaptation starts from the retraining that was best on held-out turns of the retraining tasks; scores on test
// tasks have no say; factor 1 is the retraining that runs without a search.
func TestRateSearch(t *testing.T) {
	few := []string{"retrain.methods=[sr]", "adapt.families=[none]", "adapt.turns=[all]", "retrain.epochs=1"}
	e, ex := runEvery(t, nil, append(few, "retrain.rate_factors=[0.5, 1, 2]")...)
	plain, err := Parse("every.yaml", []byte(every), few)
	if err != nil {
		t.Fatal(err)
	}
	units, err := Plan(plain, e.Inputs)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Units) != 4 || e.Units[1].ID != units[0].ID || e.Units[0].ID == e.Units[1].ID {
		t.Fatalf("units %v", e.Units)
	}
	u := &e.Units[3]
	for best := range 3 {
		for i, dir := range u.NeedDirs {
			r, err := readResult(dir)
			if err != nil {
				t.Fatal(err)
			}
			r.Epochs[r.Kept-1].HeldOut.Accuracy = map[bool]float64{true: 0.9, false: 0.2}[i == best]
			if err := r.write(dir); err != nil {
				t.Fatal(err)
			}
		}
		from, factor, err := ex.chooseBase(u)
		if err != nil || from != best || factor != []float64{0.5, 1, 2}[best] {
			t.Errorf("best is %d: chose %d (factor %v, %v)", best, from, factor, err)
		}
	}
}

// TestRankAboveWidth: refused when the experiment is opened, so before any training and by every verb.
func TestRankAboveWidth(t *testing.T) {
	for _, set := range []string{"adapt.families=[lora-16, last-layer, lora-17]", "retrain.methods=[sr-lora-17]", "retrain.methods=[meta-lora-symmetric-17]"} {
		c, err := Parse("every.yaml", []byte(every), []string{set})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(c, t.TempDir())
		if fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), "17 is above the width of roberta.encoder.layer.0.attention.self.query [16, 16]") {
			t.Errorf("%s: %v", set, err)
		}
	}
}
