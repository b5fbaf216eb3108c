package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"metalora/convai2"
	"metalora/models"
	"metalora/onnx"
	"metalora/onnx/ort"
	"metalora/pipeline/rng"
	"metalora/tokenize"
)

// smallBase writes a model folder with a tokenizer, an export of it beside, and a file of dialogues.
func smallBase(t *testing.T) (folder, export, data string) {
	t.Helper()
	folder, data, err := writeSmallBase(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	export = filepath.Join(folder, "model.onnx")
	if _, err := ExportONNX(t.Context(), ExportOptions{Model: folder, Opset: 14, Out: export}); err != nil {
		t.Fatal(err)
	}
	return folder, export, data
}

// writeSmallBase writes a model folder with a tokenizer, and a file of dialogues.
func writeSmallBase(dir string) (folder, data string, err error) {
	folder, data = filepath.Join(dir, "base"), filepath.Join(dir, "dialogues.txt")
	dialogues, _, err := convai2.Generate(convai2.Synthetic{Seed: 3, Retrain: 2, Test: 2, Dialogues: 3, Turns: 3, Candidates: 5})
	if err != nil {
		return "", "", err
	}
	out, err := os.Create(data)
	if err != nil {
		return "", "", err
	}
	if err := errors.Join(convai2.Write(out, dialogues), out.Close()); err != nil {
		return "", "", err
	}
	vocabulary, err := tokenize.Train(texts(dialogues), 320)
	if err != nil {
		return "", "", err
	}
	c := models.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads = 320, 16, 2, 2
	c.IntermediateSize, c.MaxPositionEmbeddings, c.TypeVocabSize = 32, 260, 1
	if err := c.Save(folder, models.Initialise(c, rng.New(1, "base")), ""); err != nil {
		return "", "", err
	}
	return folder, data, vocabulary.WriteFiles(folder)
}

// tuned tunes a model and returns what came of it, and the adapter.
func tuned(t *testing.T, model, data string, sets ...string) (*TuneResult, string) {
	t.Helper()
	adapter := filepath.Join(t.TempDir(), "adapter")
	r, err := Tune(t.Context(), TuneOptions{Model: model, Data: data, AdapterOut: adapter,
		Sets: append([]string{"adapt.epochs=2", "adapt.batch=4", "adapt.learning_rate=0.003", "threads=1"}, sets...)}, Quiet{})
	if err != nil {
		t.Fatal(err)
	}
	return r, adapter
}

// alikeTuned compares two trainings' sizes and losses.
func alikeTuned(t *testing.T, want, got *TuneResult) {
	t.Helper()
	if got.Parameters != want.Parameters || got.Steps != want.Steps || len(got.Epochs) != len(want.Epochs) {
		t.Errorf("%+v, the folder's %+v", got, want)
	}
	for i, e := range want.Epochs {
		if d := math.Abs(got.Epochs[i].Loss - e.Loss); !(d <= 1e-4*e.Loss) {
			t.Errorf("epoch %d: loss %v, the folder's %v", e.Epoch, got.Epochs[i].Loss, e.Loss)
		}
	}
	if want.Epochs[0].Loss == want.Epochs[1].Loss {
		t.Error("nothing was learned")
	}
}

// TestTuneAnExport: an export is tuned, dropout and all, to the losses and scores of the folder that it was made of, and the
// adapter that comes of it fits both.
func TestTuneAnExport(t *testing.T) {
	folder, export, data := smallBase(t)
	want, wantAdapter := tuned(t, folder, data)
	got, gotAdapter := tuned(t, export, data)
	alikeTuned(t, want, got)
	reference := rowOf(t, folder, wantAdapter)
	for _, pair := range [][2]string{{export, gotAdapter}, {folder, gotAdapter}, {export, wantAdapter}} {
		if d, _ := differ(reference, rowOf(t, pair[0], pair[1])); !(d <= 1e-4) {
			t.Errorf("%v: logits differ by %v", pair, d)
		}
	}
}

// TestTuneWithoutNames: an export of which no name is left bears adapters on all linear layers before its last layer norm, as the
// folder does, and its own adapter fits it.
func TestTuneWithoutNames(t *testing.T) {
	folder, export, data := smallBase(t)
	m, err := onnx.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for i, w := range m.Graph.Initializers {
		names[w.Name] = fmt.Sprintf("t%d", i)
		w.Name = names[w.Name]
	}
	for _, n := range m.Graph.Nodes {
		n.Name = ""
		for i, v := range n.Inputs {
			n.Inputs[i] = cmp.Or(names[v], v)
		}
	}
	nameless := filepath.Join(filepath.Dir(export), "nameless.onnx")
	if err := m.WriteFile(nameless); err != nil {
		t.Fatal(err)
	}
	want, wantAdapter := tuned(t, folder, data, "model.dropout=0")
	got, gotAdapter := tuned(t, nameless, data, "model.dropout=0")
	alikeTuned(t, want, got)
	if d, _ := differ(rowOf(t, folder, wantAdapter), rowOf(t, nameless, gotAdapter)); !(d <= 1e-4) {
		t.Errorf("logits differ by %v", d)
	}
}

func rowOf(t *testing.T, model, adapter string) []float32 {
	t.Helper()
	s, err := OpenScorer(model, adapter, 1, ort.CPU)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	logits, err := s.Logits(t.Context(), []int{0, 17, 4, 300, 2, 0, 30, 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return logits
}
