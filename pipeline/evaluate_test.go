package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/adapters"
	"metalora/convai2"
	"metalora/eval"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
)

// drawAdapter writes an adapter of random weights, with a head of its own.
func drawAdapter(base, dir string, l adapters.LoRA) error {
	folder, err := models.Load(base)
	if err != nil {
		return err
	}
	places, err := sites(folder.Architecture, l)
	if err != nil {
		return err
	}
	s := rng.New(7, filepath.Base(dir))
	weights := merged(models.FreshHead(folder.Architecture, s), adapters.Init(places, s))
	for _, site := range places {
		for i := range weights[site.B()].Data {
			weights[site.B()].Data[i] = float32(s.Normal())
		}
	}
	return (&adapters.Adapter{LoRA: l, Base: base, Tensors: weights}).Save(dir)
}

// several writes adapters of several ranks and places beside a base.
func several(t *testing.T) (base, data string, dirs []string) {
	t.Helper()
	base, data, err := writeSmallBase(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		dir := filepath.Join(filepath.Dir(base), fmt.Sprint("adapter-", i))
		if err := drawAdapter(base, dir, adapters.LoRA{Rank: 1 + i%3, Alpha: 4, Layers: [][]int{nil, {1}}[i%2]}); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	return base, data, dirs
}

func evaluated(t *testing.T, o EvaluateOptions) []Evaluation {
	t.Helper()
	var all []Evaluation
	for x, err := range Evaluate(t.Context(), o, Quiet{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	return all
}

// TestEvaluate: adapters mixed in a run get what the same adapters get one at a time.
func TestEvaluate(t *testing.T) {
	base, data, dirs := several(t)
	got := evaluated(t, EvaluateOptions{Model: base, Adapters: dirs, Data: data, Threads: 1})
	if len(got) != len(dirs) {
		t.Fatalf("%d evaluations, want %d", len(got), len(dirs))
	}
	different := false
	for i, dir := range dirs {
		want := measureAlone(t, base, dir, data)
		if got[i].Adapter != dir || cmp.Diff(got[i].Metrics, want) != "" {
			t.Errorf("%s: %+v, alone %+v", dir, got[i], want)
		}
		different = different || want != got[0].Metrics
	}
	if !different {
		t.Error("all adapters get the same, so the test shows nothing")
	}
	export := filepath.Join(base, "model.onnx")
	if _, err := ExportONNX(t.Context(), ExportOptions{Model: base, Opset: 17, Out: export}); err != nil {
		t.Fatal(err)
	}
	for i, x := range evaluated(t, EvaluateOptions{Model: export, Adapters: dirs, Data: data, Threads: 1}) {
		if d := cmp.Diff(got[i].Metrics, x.Metrics); d != "" {
			t.Errorf("%s on the export of its base: %s", x.Adapter, d)
		}
	}
}

func measureAlone(t *testing.T, base, adapter, data string) eval.Metrics {
	t.Helper()
	p, err := OpenPredictor(PredictOptions{Model: base, Adapter: adapter, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dialogues, err := convai2.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	var scores []eval.TurnScore
	for _, d := range dialogues {
		samples, err := convai2.Samples(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			found, err := p.Score(t.Context(), s.Context, s.Candidates)
			if err != nil {
				t.Fatal(err)
			}
			scores = append(scores, eval.TurnScore{Gold: s.Gold, Scores: found})
		}
	}
	return eval.Measure(scores)
}

// TestEvaluateContinues: an evaluation that was stopped, and whose last line was cut off by a crash, goes on with what is
// missing and ends with the file of one that ran through. An adapter that has changed since is measured anew.
func TestEvaluateContinues(t *testing.T) {
	base, data, dirs := several(t)
	for _, name := range []string{"results.jsonl", "results.csv"} {
		t.Run(name, func(t *testing.T) {
			whole := EvaluateOptions{Model: base, Adapters: dirs, Data: data, Threads: 1, Out: filepath.Join(t.TempDir(), name)}
			want := evaluated(t, whole)
			text := read(t, whole.Out)
			part := whole
			part.Out = filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(part.Out, text[:len(text)-10], 0o600); err != nil { // the last line is torn
				t.Fatal(err)
			}
			ran := &counting{}
			var got []Evaluation
			for x, err := range Evaluate(t.Context(), part, ran) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, x)
			}
			near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) // a CSV file has ten digits
			if d := cmp.Diff(want, got, near); d != "" || !bytes.Equal(read(t, part.Out), text) {
				t.Errorf("continued: %s", d)
			}
			if turns := want[0].Turns; ran.steps != turns {
				t.Errorf("%d turns were scored again, want the %d of one adapter", ran.steps, turns)
			}
			if err := drawAdapter(base, dirs[0], adapters.LoRA{Rank: 3, Alpha: 2}); err != nil {
				t.Fatal(err)
			}
			again := evaluated(t, part)
			if bytes.Count(read(t, part.Out), []byte("adapter-0")) != 1 || again[len(again)-1].Weights == want[0].Weights {
				t.Errorf("the changed adapter was not measured anew:\n%s", read(t, part.Out))
			}
			if err := drawAdapter(base, dirs[0], adapters.LoRA{Rank: 1, Alpha: 4}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

type counting struct {
	Quiet
	steps int
}

func (c *counting) Step(float64, int) { c.steps++ }

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestEvaluateStops: a stop on request leaves whole lines and says so.
func TestEvaluateStops(t *testing.T) {
	base, data, dirs := several(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, err := range Evaluate(ctx, EvaluateOptions{Model: base, Adapters: dirs, Data: data, Out: filepath.Join(t.TempDir(), "r.jsonl")}, Quiet{}) {
		if fault.Code(err) != fault.CodeStopped || !strings.Contains(err.Error(), "5 adapters are not evaluated yet") {
			t.Errorf("%v", err)
		}
	}
}

// TestEvaluateRefuses: what cannot be measured rightly is an error that says what to do, before anything is scored.
func TestEvaluateRefuses(t *testing.T) {
	base, data, dirs := several(t)
	dir := t.TempDir()
	other, _, err := writeSmallBase(dir)
	if err != nil {
		t.Fatal(err)
	}
	weights := filepath.Join(other, "model.safetensors")
	tensors, err := safetensors.Load(weights)
	if err != nil {
		t.Fatal(err)
	}
	tensors["roberta.embeddings.LayerNorm.bias"].Data[0] = 1
	headless := safetensors.Tensors{}
	for name, x := range tensors {
		if !strings.HasPrefix(name, "classifier.") {
			headless[name] = x
		}
	}
	if err := safetensors.Save(weights, headless, nil); err != nil {
		t.Fatal(err)
	}
	foreign, bare := filepath.Join(dir, "foreign"), filepath.Join(dir, "bare")
	if err := drawAdapter(other, foreign, adapters.LoRA{Rank: 2, Alpha: 2}); err != nil {
		t.Fatal(err)
	}
	a, err := adapters.Load(foreign)
	if err != nil {
		t.Fatal(err)
	}
	for name := range a.Head() {
		delete(a.Tensors, name)
	}
	if err := a.Save(bare); err != nil {
		t.Fatal(err)
	}
	mute := filepath.Join(dir, "mute.txt")
	write(t, mute, "1 your persona: i like tea.\n2 hello\thi\n")
	taken := filepath.Join(dir, "taken.csv")
	write(t, taken, "a,b\n1,2\n")
	elsewhere := filepath.Join(dir, "elsewhere.jsonl")
	write(t, elsewhere, `{"adapter":"x","inputs":"other"}`+"\n")
	for name, c := range map[string]struct {
		o    EvaluateOptions
		code int
		want string
	}{
		"another base":       {EvaluateOptions{Model: base, Adapters: []string{dirs[0], foreign}, Data: data}, fault.CodeInput, "whose weights are not those of"},
		"without its head":   {EvaluateOptions{Model: other, Adapters: []string{bare}, Data: data}, fault.CodeInput, "no classification head"},
		"named twice":        {EvaluateOptions{Model: base, Adapters: []string{dirs[0], dirs[0]}, Data: data}, fault.CodeUsage, "twice"},
		"no adapter there":   {EvaluateOptions{Model: base, Adapters: []string{dir}, Data: data}, fault.CodeInput, "adapter_config.json"},
		"no candidates":      {EvaluateOptions{Model: base, Adapters: dirs, Data: mute}, fault.CodeInput, "nothing to score"},
		"another file":       {EvaluateOptions{Model: base, Adapters: dirs, Data: data, Out: taken}, fault.CodeUsage, "taken.csv:1"},
		"another evaluation": {EvaluateOptions{Model: base, Adapters: dirs, Data: data, Out: elsewhere}, fault.CodeUsage, "another model, data"},
		"no folder for it":   {EvaluateOptions{Model: base, Adapters: dirs, Data: data, Out: filepath.Join(dir, "no", "x.csv")}, fault.CodeFailed, "no"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			for _, err = range Evaluate(t.Context(), c.o, Quiet{}) {
				if err == nil {
					t.Fatal("a result, want an error")
				}
			}
			if fault.Code(err) != c.code || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("code %d, want %d; error, which should have %q: %v", fault.Code(err), c.code, c.want, err)
			}
		})
	}
	if string(read(t, taken)) != "a,b\n1,2\n" {
		t.Error("another's file was changed")
	}
	if _, err := OpenPredictor(PredictOptions{Model: base, Adapter: foreign}); fault.Code(err) != fault.CodeInput {
		t.Errorf("predicting with an adapter of another base: %v", err)
	}
}

// TestEvaluationCSV: an adapter whose name a spreadsheet would run as a formula does not begin a cell with it.
func TestEvaluationCSV(t *testing.T) {
	x := Evaluation{Adapter: "=1+1", Metrics: eval.Metrics{Turns: 3, Accuracy: 1. / 3}, Inputs: "a", Weights: "b"}
	r := resultsFile{path: "x.csv"}
	text := append(r.heading(), r.lines([]Evaluation{x})[0]...)
	if !bytes.Contains(text, []byte("\n'=1+1,3,0.3333333333,")) {
		t.Errorf("%s", text)
	}
	back, err := parseResults("x.csv", text)
	if err != nil || len(back) != 1 || back[0].key() != x.key() || back[0].Turns != 3 {
		t.Errorf("%+v (%v)", back, err)
	}
}

// FuzzResults: whatever a results file holds, reading it ends with results or an error, and results written are read again.
func FuzzResults(f *testing.F) {
	r := resultsFile{path: "x.csv"}
	f.Add(true, append(r.heading(), r.lines([]Evaluation{{Adapter: "a,\"b"}})[0]...))
	f.Add(false, []byte(`{"adapter":"x","turns":3}`+"\n{"))
	f.Fuzz(func(t *testing.T, asCSV bool, data []byte) {
		r := resultsFile{path: "x.jsonl"}
		if asCSV {
			r.path = "x.csv"
		}
		all, err := parseResults(r.path, data)
		if err != nil {
			return
		}
		again, err := parseResults(r.path, append(r.heading(), bytes.Join(r.lines(all), nil)...))
		if err != nil || len(again) != len(all) {
			t.Errorf("%d results written, %d read (%v)", len(all), len(again), err)
		}
	})
}

// WriteExample writes what the examples work on: a model, dialogues and two adapters.
func WriteExample(dir string) (model, dialogues string, dirs []string, err error) {
	if model, dialogues, err = writeSmallBase(dir); err != nil {
		return "", "", nil, err
	}
	for _, name := range []string{"first", "second"} {
		dirs = append(dirs, filepath.Join(dir, name))
		if err := drawAdapter(model, filepath.Join(dir, name), adapters.LoRA{Rank: 2, Alpha: 4}); err != nil {
			return "", "", nil, err
		}
	}
	return model, dialogues, dirs, nil
}
