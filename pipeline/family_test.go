package pipeline

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/models"
	"metalora/models/safetensors"
	"metalora/onnx/ort"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
	"metalora/tokenize"
)

// tinyBert writes a bare BERT with a pooler, as BertModel saves it, and a WordPiece vocabulary of letters.
func tinyBert(t *testing.T) string {
	t.Helper()
	tokens := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "?", "'"}
	for letter := 'a'; letter <= 'z'; letter++ {
		tokens = append(tokens, string(letter), "##"+string(letter))
	}
	var c models.Config
	text := `{"model_type":"bert","vocab_size":80,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":16,"max_position_embeddings":160}`
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	tensors := models.Initialise(c, rng.New(1, "tiny BERT"))
	encoder, _ := models.Split(c, tensors)
	dir := t.TempDir()
	if err := c.Save(dir, merged(encoder, models.Poolers(c, tensors)), ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(strings.Join(tokens, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestBertExperiment runs retrainings and adaptations of a BERT: the pooler is trained with each task's head and starts
// from the base's, the retrained folder keeps the base's own beside the new encoder, and adapters bring theirs.
func TestBertExperiment(t *testing.T) {
	base := tinyBert(t)
	text := `synthetic: {}
seeds: [0]
data: {turns: {retrain: 4, test: 4}, candidates: {train: 3, evaluate: 3}}
tasks: {retrain: {ranks: 1-2}, test: {ranks: 1}}
retrain: {methods: [sr, meta-lora-2], epochs: 2, batch: 2}
adapt: {families: [lora-2], epochs: 3, batch: 2}
`
	c, err := Parse("bert.yaml", []byte(text), []string{"model.path=" + base, "model.tokenizer=" + base})
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(c, filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	ex, err := NewExecutor(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context(), ex, nil, Quiet{}); err != nil {
		t.Fatal(err)
	}
	before, err := models.Load(base)
	if err != nil {
		t.Fatal(err)
	}
	for i := range e.Units {
		u := &e.Units[i]
		t.Run(u.Label, func(t *testing.T) {
			if u.Kind == KindRetrain {
				checkRetrainedBert(t, before, filepath.Join(u.Dir, "model"))
			} else {
				checkBertAdapter(t, before, filepath.Join(u.NeedDirs[0], "model"), filepath.Join(u.Dir, "adapter"))
			}
		})
	}
}

const pooler = "bert.pooler.dense.weight"

func checkRetrainedBert(t *testing.T, before *models.Folder, dir string) {
	after, err := models.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if after.HasHead || !cmp.Equal(before.Tensors[pooler], after.Tensors[pooler]) {
		t.Errorf("head %v, or the pooler is not the base's", after.HasHead)
	}
	if word := "bert.embeddings.word_embeddings.weight"; cmp.Equal(before.Tensors[word], after.Tensors[word]) {
		t.Error("retraining left the words as they were")
	}
	if _, err := tokenize.Load(dir); err != nil {
		t.Error(err)
	}
	if _, err := OpenScorer(dir, "", 1, ort.CPU); fault.Code(err) != fault.CodeInput {
		t.Errorf("scoring without a head: %v", err)
	}
}

func checkBertAdapter(t *testing.T, before *models.Folder, base, dir string) {
	tensors, err := safetensors.Load(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	moved := 0.0
	for i, x := range tensors["base_model.model."+pooler].Data {
		moved = math.Max(moved, math.Abs(float64(x-before.Tensors[pooler].Data[i])))
	}
	if moved == 0 || moved > 0.01 { // a fresh pooler would differ by its own size, 1/√8
		t.Errorf("the adapter's pooler lies %v from the base's", moved)
	}
	s, err := OpenScorer(base, dir, 1, ort.CPU)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ids := []int{2, 10, 3, 11, 3}
	first, err := s.Logits(t.Context(), ids, []int{0, 0, 0, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := s.Logits(t.Context(), ids, nil); err != nil || cmp.Equal(first, second) {
		t.Errorf("segments change nothing (%v)", err)
	}
}

// TestBertSegments: a tokenizer that gives two segments does not go with a model that has one.
func TestBertSegments(t *testing.T) {
	tok, err := tokenize.Load(tinyBert(t))
	if err != nil {
		t.Fatal(err)
	}
	c := models.Config{ModelType: "bert", VocabSize: 80, TypeVocabSize: 1}
	if err := checkTokenizer(c.Limits(), tok, "here"); fault.Code(err) != fault.CodeInput || !strings.Contains(err.Error(), "here: 1 kinds of segment are too few for the tokenizer's 2") {
		t.Errorf("got %v", err)
	}
	c.TypeVocabSize = 2
	if err := checkTokenizer(c.Limits(), tok, "here"); err != nil {
		t.Error(err)
	}
}
