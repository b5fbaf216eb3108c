package models

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
	"metalora/pipeline/rng"
)

// TestForward compares logits, losses and, where they were kept, hidden states with float64 PyTorch's, from the same
// weights. The nano and micro models are in testdata; the tiny ones, with vocabularies of full size, lie beside the project.
func TestForward(t *testing.T) {
	for _, c := range []struct{ name, model, golden string }{
		{"nano-roberta", "testdata/nano-roberta", "testdata/forward/nano-roberta.safetensors"},
		{"nano-roberta-edge", "testdata/nano-roberta", "testdata/forward/nano-roberta-edge.safetensors"},
		{"nano-bert", "testdata/nano-bert", "testdata/forward/nano-bert.safetensors"},
		{"bert-gelu-new", "testdata/micro/bert-gelu-new", "testdata/micro/bert-gelu-new/golden.safetensors"},
		{"bert-relu", "testdata/micro/bert-relu", "testdata/micro/bert-relu/golden.safetensors"},
		{"distilbert", "testdata/micro/distilbert", "testdata/micro/distilbert/golden.safetensors"},
		{"xlm-roberta", "testdata/micro/xlm-roberta", "testdata/micro/xlm-roberta/golden.safetensors"},
		{"tiny-roberta", shared(t, "reference/tiny-roberta"), shared(t, "reference/forward/tiny-roberta.safetensors")},
		{"tiny-bert", shared(t, "reference/tiny-bert"), shared(t, "reference/forward/tiny-bert.safetensors")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.model == "" {
				t.Skip("needs the reference numbers beside the project; those in testdata are checked without them")
			}
			folder, err := Load(c.model)
			if err != nil {
				t.Fatal(err)
			}
			golden, err := safetensors.Open(c.golden)
			if err != nil {
				t.Fatal(err)
			}
			defer golden.Close()
			compareForward(t, folder, golden)
		})
	}
}

// shared is a path beside the project, or "" where there is none; CI must have it.
func shared(t *testing.T, path string) string {
	t.Helper()
	path = filepath.Join("..", "..", "shared", path)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the reference numbers are missing: %v", err)
		}
		return ""
	}
	return path
}

func compareForward(t *testing.T, folder *Folder, golden *safetensors.File) {
	forward, err := folder.Architecture.Forward(Dropout{})
	if err != nil {
		t.Fatal(err)
	}
	graph := AddLoss(forward)
	hidden := exposeHidden(graph)
	got := run(t, graph, folder, golden)
	near(t, "logits", read(t, golden, "logits"), got["logits"], 1e-5)
	loss := read(t, golden, "loss")
	near(t, "loss", loss, got["loss"], 1e-6*math.Abs(loss[0]))
	if !has(golden, "hidden_0") {
		return
	}
	for i, name := range hidden {
		want := read(t, golden, "hidden_"+string(rune('0'+i)))
		if i == len(hidden)-1 { // the last layer computes each row's first token alone
			_, shape := ints(t, golden, "input_ids")
			want = firstTokens(want, shape[0], shape[1])
		}
		near(t, name, want, got[name], 2e-5)
	}
	if len(hidden) != folder.Architecture.(Config).NumHiddenLayers+1 {
		t.Errorf("%d hidden states, want %d", len(hidden), folder.Architecture.(Config).NumHiddenLayers+1)
	}
}

// firstTokens picks the first of length vectors in each of rows.
func firstTokens(x []float64, rows, length int) []float64 {
	var first []float64
	width := len(x) / rows / length
	for row := range rows {
		first = append(first, x[row*length*width:row*length*width+width]...)
	}
	return first
}

// exposeHidden makes outputs of what comes out of the embeddings and of each layer.
func exposeHidden(m *onnx.Model) []string {
	var names []string
	for _, n := range m.Graph.Nodes {
		if n.Op == "LayerNormalization" && !strings.Contains(n.Input(1), "attention.output") && !strings.Contains(n.Input(1), "sa_layer_norm") {
			names = append(names, n.Output(0))
			m.Graph.Outputs = append(m.Graph.Outputs, onnx.ValueInfo{Name: n.Output(0), Type: onnx.Float, Shape: onnx.Dims("tokens", -1)})
		}
	}
	return names
}

func run(t *testing.T, graph *onnx.Model, folder *Folder, golden *safetensors.File) map[string][]float64 {
	t.Helper()
	session, err := ort.OpenModel(graph, ort.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	ids, shape := ints(t, golden, "input_ids")
	mask, _ := ints(t, golden, "attention_mask")
	feeds := map[string]*ort.Tensor{"input_ids": orttest.Tensor(t, shape, ids), "attention_mask": orttest.Tensor(t, shape, mask)}
	if has(golden, "labels") {
		labels, _ := ints(t, golden, "labels")
		targets := make([]float32, 2*len(labels))
		for i, label := range labels {
			targets[2*i+int(label)] = 1 / float32(len(labels))
		}
		feeds["targets"] = orttest.Tensor(t, []int{len(labels), 2}, targets)
	}
	if folder.Architecture.Limits().Segments > 0 {
		types, _ := ints(t, golden, "token_type_ids")
		feeds["token_type_ids"] = orttest.Tensor(t, shape, types)
	}
	for name, x := range folder.Tensors {
		feeds[name] = orttest.Tensor(t, x.Shape, x.Data)
	}
	fetches := map[string]*ort.Tensor{}
	for _, o := range graph.Graph.Outputs {
		fetches[o.Name] = nil
	}
	if err := session.Run(feeds, fetches); err != nil {
		t.Fatal(err)
	}
	got := map[string][]float64{}
	for name, x := range fetches {
		for _, v := range ort.Data[float32](x) {
			got[name] = append(got[name], float64(v))
		}
		x.Close()
	}
	return got
}

func read(t *testing.T, f *safetensors.File, name string) []float64 {
	t.Helper()
	x, err := f.Float64(name)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func ints(t *testing.T, f *safetensors.File, name string) ([]int64, []int) {
	t.Helper()
	x, err := f.Int64(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range f.Infos() {
		if info.Name == name {
			return x, info.Shape
		}
	}
	return x, nil
}

// TestMiniLM compares the real encoder's outputs with float64 PyTorch's on twelve pairs: the first token's last state and
// the pooler's.
func TestMiniLM(t *testing.T) {
	dir, outputs := shared(t, "models/all-minilm-l6-v2"), shared(t, "reference/minilm/outputs.safetensors")
	if dir == "" || outputs == "" {
		t.Skip("needs the model and the reference numbers beside the project")
	}
	folder, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if folder.HasHead || len(folder.Unused) != 1 || folder.Unused[0] != "embeddings.position_ids" {
		t.Errorf("head %v, not used %q", folder.HasHead, folder.Unused)
	}
	classifier := StartHead(folder.Architecture, rng.New(1, "head"))
	maps.Copy(classifier, folder.Tensors) // the pooler is the base's
	folder.Tensors = classifier
	golden, err := safetensors.Open(outputs)
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	graph, err := folder.Architecture.Forward(Dropout{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range graph.Graph.Nodes {
		if n.Input(1) == "bert.pooler.dense.weight" {
			names = append(names, n.Input(0))
		}
		if n.Op == "Tanh" {
			names = append(names, n.Output(0))
		}
	}
	for _, name := range names {
		graph.Graph.Outputs = append(graph.Graph.Outputs, onnx.ValueInfo{Name: name, Type: onnx.Float, Shape: onnx.Dims("rows", 384)})
	}
	got := run(t, graph, folder, golden)
	near(t, "cls", read(t, golden, "cls"), got[names[0]], 1e-5)
	near(t, "pooled", read(t, golden, "pooled"), got[names[1]], 1e-5)
}

func has(f *safetensors.File, name string) bool {
	return slices.ContainsFunc(f.Infos(), func(i safetensors.Info) bool { return i.Name == name })
}

func near(t *testing.T, name string, want, got []float64, tolerance float64) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d numbers, want %d", name, len(got), len(want))
		return
	}
	worst := 0.0
	for i := range want {
		worst = math.Max(worst, math.Abs(want[i]-got[i]))
	}
	if !(worst <= tolerance) {
		t.Errorf("%s: off by %.3g, allowed %.3g", name, worst, tolerance)
	}
}

func TestConfigRefusesTheImpossible(t *testing.T) {
	good, err := os.ReadFile("testdata/nano-roberta/config.json")
	if err != nil {
		t.Fatal(err)
	}
	for field, c := range map[string]struct {
		value any
		want  string
	}{
		"hidden_size":             {30, "hidden_size 30 is no multiple of num_attention_heads 4"},
		"vocab_size":              {0, "vocab_size is 0"},
		"num_hidden_layers":       {-1, "num_hidden_layers is -1"},
		"model_type":              {"gpt2", `model_type "gpt2" is not supported`},
		"hidden_act":              {"silu", `hidden_act "silu" is not supported, want one of ["gelu" "gelu_new" "gelu_pytorch_tanh" "relu"]`},
		"pruned_heads":            {map[string][]int{"0": {1}}, `pruned_heads {"0":[1]} is not supported`},
		"is_decoder":              {true, "is_decoder true is not supported"},
		"pad_token_id":            {5000, "pad_token_id 5000 is outside the vocabulary of 1000"},
		"layer_norm_eps":          {0, "layer_norm_eps is 0"},
		"intermediate_size":       {1e12, "intermediate_size is 1000000000000"},
		"position_embedding_type": {"relative_key", `position_embedding_type "relative_key" is not supported`},
		"max_position_embeddings": {2, "max_position_embeddings 2 leaves no position"},
	} {
		t.Run(field, func(t *testing.T) {
			fields := map[string]any{}
			if err := json.Unmarshal(good, &fields); err != nil {
				t.Fatal(err)
			}
			fields[field] = c.value
			bad, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = ReadConfig(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want an error with %q and the path", err, c.want)
			}
		})
	}
}
