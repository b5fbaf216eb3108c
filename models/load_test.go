package models

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"metalora/models/safetensors"
	"metalora/pipeline/rng"

	"github.com/google/go-cmp/cmp"
)

const nanoFolder = "testdata/nano-roberta"

// folder writes a model folder with nano-roberta's configuration and the tensors given.
func folder(t *testing.T, tensors safetensors.Tensors) string {
	t.Helper()
	dir := t.TempDir()
	copyTo(t, filepath.Join(dir, "config.json"), nanoFolder+"/config.json")
	saveTensors(t, filepath.Join(dir, weightsFile), tensors)
	return dir
}

func copyTo(t *testing.T, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func saveTensors(t *testing.T, path string, tensors safetensors.Tensors) {
	t.Helper()
	if err := safetensors.Save(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
}

func nano(t *testing.T) *Folder {
	t.Helper()
	f, err := Load(nanoFolder)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestLoadTakesABareEncoder has the names of RobertaModel, with a pooler and a language-model head that nobody needs.
func TestLoadTakesABareEncoder(t *testing.T) {
	full, bare := nano(t).Tensors, safetensors.Tensors{}
	for name, x := range full {
		if short, ok := strings.CutPrefix(name, "roberta."); ok {
			bare[short] = x
		}
	}
	extra := safetensors.Tensor{Shape: []int{1}, Data: []float32{1}}
	maps.Copy(bare, safetensors.Tensors{"pooler.dense.weight": extra, "lm_head.bias": extra})
	got, err := Load(folder(t, bare))
	if err != nil {
		t.Fatal(err)
	}
	if got.HasHead || len(got.Tensors) != len(full)-4 {
		t.Errorf("head %v, %d tensors, want none and %d", got.HasHead, len(got.Tensors), len(full)-4)
	}
	if diff := cmp.Diff([]string{"lm_head.bias", "roberta.pooler.dense.weight"}, got.Unused); diff != "" {
		t.Error(diff)
	}
}

func TestLoadRefusesTensors(t *testing.T) {
	const key, word, head = "roberta.encoder.layer.1.attention.self.key.weight", "roberta.embeddings.word_embeddings.weight", "classifier.dense.bias"
	for name, c := range map[string]struct {
		change func(safetensors.Tensors)
		want   string
	}{
		"missing":       {func(x safetensors.Tensors) { delete(x, key) }, "tensor " + key + " is missing"},
		"half a head":   {func(x safetensors.Tensors) { delete(x, head) }, "tensor " + head + " is missing"},
		"misshapen":     {func(x safetensors.Tensors) { x[key] = zeros([]int{32, 16}) }, "tensor " + key + " has shape [32 16], want [32 32]"},
		"flat":          {func(x safetensors.Tensors) { x[key] = zeros([]int{1024}) }, "tensor " + key + " has shape [1024], want [32 32]"},
		"short words":   {func(x safetensors.Tensors) { x[word] = zeros([]int{999, 32}) }, "tensor " + word + " has shape [999 32], want [1000 32]"},
		"under 2 names": {func(x safetensors.Tensors) { x["encoder.layer.1.attention.self.key.weight"] = x[key] }, "is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			tensors := nano(t).Tensors
			c.change(tensors)
			dir := folder(t, tensors)
			if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v, want an error with %q and the folder", err, c.want)
			}
		})
	}
}

// shards splits nano-roberta over two files and writes an index that names them as told.
func shards(t *testing.T, first, second string) string {
	t.Helper()
	dir := t.TempDir()
	copyTo(t, filepath.Join(dir, "config.json"), nanoFolder+"/config.json")
	all := nano(t).Tensors
	parts := []safetensors.Tensors{{}, {}}
	index := map[string]map[string]string{"weight_map": {}}
	for i, name := range all.Names() {
		parts[i%2][name] = all[name]
		index["weight_map"][name] = []string{first, second}[i%2]
	}
	data, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, indexFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	saveTensors(t, filepath.Join(dir, "a.safetensors"), parts[0])
	saveTensors(t, filepath.Join(dir, "b.safetensors"), parts[1])
	return dir
}

func TestLoadReadsShards(t *testing.T) {
	got, err := Load(shards(t, "a.safetensors", "b.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(nano(t).Tensors, got.Tensors); diff != "" {
		t.Error(diff)
	}
}

func TestLoadKeepsShardsInTheFolder(t *testing.T) {
	for name, shard := range map[string]string{
		"parent": "../b.safetensors", "absolute": "/etc/b.safetensors", "below": "x/b.safetensors", "dots": "..",
		"backslash": `..\b.safetensors`, "another kind": "config.json", "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(shards(t, "a.safetensors", shard))
			if err == nil || !strings.Contains(err.Error(), indexFile) {
				t.Errorf("got %v, want an error that names the index", err)
			}
		})
	}
	t.Run("link", func(t *testing.T) {
		dir, outside := shards(t, "a.safetensors", "b.safetensors"), filepath.Join(t.TempDir(), "b.safetensors")
		inside := filepath.Join(dir, "b.safetensors")
		if err := os.Rename(inside, outside); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, inside); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "b.safetensors") {
			t.Errorf("got %v, want an error that names the link", err)
		}
	})
}

func TestSaveLoadRoundTrip(t *testing.T) {
	f := nano(t)
	tokenizer, dir := t.TempDir(), filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(filepath.Join(tokenizer, "vocab.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Architecture.Save(dir, f.Tensors, tokenizer); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.Tensors, got.Tensors); diff != "" {
		t.Error(diff)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "vocab.json")); err != nil || string(data) != "{}" {
		t.Errorf("the tokenizer's file holds %q (%v)", data, err)
	}
	want, have := fields(t, nanoFolder+"/config.json"), fields(t, filepath.Join(dir, "config.json"))
	for name, value := range want {
		if diff := cmp.Diff(value, have[name]); diff != "" {
			t.Errorf("config.json: %s: %s", name, diff)
		}
	}
	a, _ := os.ReadFile(filepath.Join(dir, weightsFile))
	if b, err := os.ReadFile(nanoFolder + "/" + weightsFile); err != nil || !slices.Equal(a, b) {
		t.Errorf("%s is not the same to the last byte (%v)", weightsFile, err)
	}
}

func fields(t *testing.T, path string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := map[string]any{}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSaveSaysWhatItHolds(t *testing.T) {
	f := nano(t)
	for _, p := range f.Architecture.Parameters() {
		if p.Head {
			delete(f.Tensors, p.Name)
		}
	}
	config := f.Architecture.(Config)
	config.set("dtype", "float16")
	dir := t.TempDir()
	if err := config.Save(dir, f.Tensors, ""); err != nil {
		t.Fatal(err)
	}
	got := fields(t, filepath.Join(dir, "config.json"))
	if got["dtype"] != "float32" || !cmp.Equal(got["architectures"], []any{"RobertaModel"}) {
		t.Errorf("dtype %v, architectures %v", got["dtype"], got["architectures"])
	}
	f.Tensors["more"] = zeros([]int{1})
	if err := config.Save(dir, f.Tensors, ""); err == nil || !strings.Contains(err.Error(), "tensor more is not one of the model's") {
		t.Errorf("got %v", err)
	}
}

func TestConfigLabels(t *testing.T) {
	for text, want := range map[string]int{
		`{}`: 2, `{"num_labels":3}`: 3, `{"id2label":{"0":"a","1":"b","2":"c","3":"d"},"num_labels":2}`: 4,
	} {
		var c Config
		if err := json.Unmarshal([]byte(text), &c); err != nil || c.NumLabels != want {
			t.Errorf("%s: %d labels (%v), want %d", text, c.NumLabels, err, want)
		}
		c.NumLabels = 5
		data, err := json.Marshal(c)
		var again Config
		if err == nil {
			err = json.Unmarshal(data, &again)
		}
		if err != nil || again.NumLabels != 5 {
			t.Errorf("%s: 5 labels became %d (%v)", text, again.NumLabels, err)
		}
	}
}

func TestInitialise(t *testing.T) {
	c := nano(t).Architecture.(Config)
	drawn := Initialise(c, rng.New(1, "model"))
	for _, p := range c.Parameters() {
		x := drawn[p.Name]
		if !slices.Equal(x.Shape, p.Shape) {
			t.Errorf("%s: shape %v, want %v", p.Name, x.Shape, p.Shape)
		}
		if p.Pad >= 0 && slices.ContainsFunc(x.Data[p.Pad*c.HiddenSize:(p.Pad+1)*c.HiddenSize], func(v float32) bool { return v != 0 }) {
			t.Errorf("%s: the pad row is not zero", p.Name)
		}
	}
	if diff := cmp.Diff(drawn, Initialise(c, rng.New(1, "model"))); diff != "" {
		t.Error("one stream drew two models")
	}
	head := FreshHead(c, rng.New(1, "head"))
	if len(head) != 4 || slices.Max(head["classifier.dense.bias"].Data) > 0.1768 || slices.Min(head["classifier.dense.bias"].Data) > -0.05 {
		t.Errorf("the head's bias is not uniform in ±1/√32: %v", head["classifier.dense.bias"].Data)
	}
}

// FuzzConfig looks for a panic, and for a configuration that passes although its graph cannot be listed.
func FuzzConfig(f *testing.F) {
	data, err := os.ReadFile(nanoFolder + "/config.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"num_hidden_layers":1e3,"id2label":{}}`))
	f.Add([]byte(`{"model_type":"distilbert","dim":8,"n_heads":2,"activation":"relu"}`))
	f.Add([]byte(`{"model_type":"bert","pruned_heads":{},"bos_token_id":null}`))
	f.Add([]byte(`{"vocab_size":2147483647,"hidden_size":2147483647,"num_attention_heads":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Config
		if json.Unmarshal(data, &c) != nil || c.Check() != nil {
			return
		}
		for _, p := range c.Parameters() {
			if n, err := safetensors.Elements(p.Shape); err != nil || n < 1 {
				t.Errorf("%s: shape %v passed", p.Name, p.Shape)
			}
		}
	})
}
