package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"metalora/convai2"
	"metalora/models"
	"metalora/pipeline"
	"metalora/pipeline/rng"
	"metalora/tokenize"
)

// smallModel writes a model folder with its tokenizer, and a file of dialogues.
func smallModel(t *testing.T, model, data string) {
	t.Helper()
	dialogues, _, err := convai2.Generate(convai2.Synthetic{Seed: 3, Retrain: 2, Test: 2, Dialogues: 3, Turns: 3, Candidates: 5})
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(convai2.Write(out, dialogues), out.Close()); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, d := range dialogues {
		for _, turn := range d.Turns {
			words = append(words, turn.Partner, turn.Self)
		}
	}
	vocabulary, err := tokenize.Train(slices.Values(words), 320)
	if err != nil {
		t.Fatal(err)
	}
	c := models.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads = 320, 16, 2, 2
	c.IntermediateSize, c.MaxPositionEmbeddings, c.TypeVocabSize = 32, 260, 1
	if err := errors.Join(c.Save(model, models.Initialise(c, rng.New(1, "base")), ""), vocabulary.WriteFiles(model)); err != nil {
		t.Fatal(err)
	}
}

// TestEveryday goes the way of the everyday job: tune two adapters, predict with one, measure both, and again where the first
// time stopped.
func TestEveryday(t *testing.T) {
	dir := t.TempDir()
	model, data, results := filepath.Join(dir, "base"), filepath.Join(dir, "dialogues.txt"), filepath.Join(dir, "results.jsonl")
	smallModel(t, model, data)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for adapter, family := range map[string]string{a: "lora-4", b: "lora-2"} {
		succeed(t, "tune", "--model", model, "--data", data, "--adapter-out", adapter, "--set", "adapt.families=["+family+"]", "--set", "adapt.epochs=1")
	}
	card, err := os.ReadFile(filepath.Join(a, "README.md"))
	if err != nil || !strings.Contains(string(card), "base_model: "+model) {
		t.Errorf("the model card (%v):\n%s", err, card)
	}
	text, err := os.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	file := succeed(t, "predict", "--model", model, "--adapter", a, "--json", data)
	code, piped, _ := invoke(t, string(text), "predict", "--model", model, "--adapter", a, "--json", "-")
	if code != 0 || piped != file || strings.Count(file, "\n") != 18 {
		t.Errorf("exit code %d; from standard input\n%s\nfrom the file\n%s", code, piped, file)
	}
	var first pipeline.Prediction
	if err := json.Unmarshal([]byte(file[:strings.Index(file, "\n")]), &first); err != nil || len(first.Scores) != 5 {
		t.Errorf("%+v (%v)", first, err)
	}
	evaluate := []string{"evaluate", "--model", model, "--adapters", a, b, "--data", data, "--out", results, "--json"}
	out := succeed(t, evaluate...)
	if strings.Count(out, `"accuracy":`) != 2 || succeed(t, evaluate...) != out {
		t.Errorf("evaluated:\n%s", out)
	}
	if table := succeed(t, "evaluate", "--model", model, "--adapters", a, "--data", data); !strings.Contains(table, "accuracy %") || !strings.Contains(table, a) {
		t.Errorf("no table:\n%s", table)
	}
}
