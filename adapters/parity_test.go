package adapters

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"metalora/models"
	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
	"metalora/pipeline/rng"
)

// TestAgainstPEFT compares the logits of PEFT's adapters on tiny-roberta and tiny-bert: adapted, merged and of the bare base.
func TestAgainstPEFT(t *testing.T) {
	reference := filepath.Join("..", "..", "shared", "reference")
	if _, err := os.Stat(reference); errors.Is(err, fs.ErrNotExist) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the reference numbers are missing: %v", err)
		}
		t.Skip("needs the reference numbers beside the project; TestMergedAgreesWithAdapted covers the products without them")
	}
	for name, model := range map[string]string{
		"all-linear-r4": "tiny-roberta", "query-value-r8": "tiny-roberta", "rslora-r4": "tiny-roberta", "patterns": "tiny-roberta",
		"dense-suffix": "tiny-roberta", "layer-1-only": "tiny-roberta", "bert-r4": "tiny-bert",
	} {
		t.Run(name, func(t *testing.T) {
			base, err := models.Load(filepath.Join(reference, model))
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(reference, "peft-adapters", name)
			a, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			golden, err := safetensors.Open(filepath.Join(dir, "expected.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer golden.Close()
			compare(t, base, a, golden)
		})
	}
}

// TestFamiliesAgainstPEFT compares the logits of adapters that PEFT made for the smallest BERT and DistilBERT: "all-linear",
// which adapts BERT's pooler too, and two of DistilBERT's layers by their own names.
func TestFamiliesAgainstPEFT(t *testing.T) {
	for name, sites := range map[string]int{"bert-relu": 13, "distilbert": 4} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("..", "models", "testdata", "micro", name)
			base, err := models.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			a, err := Load(filepath.Join(dir, "adapter"))
			if err != nil {
				t.Fatal(err)
			}
			golden, err := safetensors.Open(filepath.Join(dir, "adapter", "expected.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer golden.Close()
			graph, weights := withAdapter(t, forward(t, base), base.Tensors, a)
			want, err := golden.Float32("logits")
			if err != nil {
				t.Fatal(err)
			}
			near(t, "logits", want, logits(t, graph, weights, readBatch(t, golden)), 1e-5)
			if found, err := a.Sites(Linears(forward(t, base))); err != nil || len(found) != sites {
				t.Errorf("%d sites (%v), want %d", len(found), err, sites)
			}
			saved := t.TempDir()
			if err := a.Save(saved); err != nil {
				t.Fatal(err)
			}
			if again, err := Load(saved); err != nil || !slices.Equal(again.Tensors.Names(), a.Tensors.Names()) {
				t.Errorf("saved and loaded again: %v", err)
			}
		})
	}
}

func compare(t *testing.T, base *models.Folder, a *Adapter, golden *safetensors.File) {
	t.Helper()
	batch := readBatch(t, golden)
	bare := forward(t, base)
	adapted, weights := withAdapter(t, bare, base.Tensors, a)
	merged, err := Merge(base.Tensors, a)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		graph     *onnx.Model
		weights   safetensors.Tensors
		tolerance float64
	}{
		{"logits", adapted, weights, 1e-5},
		{"logits_merged", bare, merged, 2e-5},
		{"logits_base", bare, base.Tensors, 1e-5},
	} {
		want, err := golden.Float32(c.name)
		if err != nil {
			t.Fatal(err)
		}
		near(t, c.name, want, logits(t, c.graph, c.weights, batch), c.tolerance)
	}
}

// withAdapter puts a loaded adapter into a graph and its weights beside the base's.
func withAdapter(t *testing.T, bare *onnx.Model, base safetensors.Tensors, a *Adapter) (*onnx.Model, safetensors.Tensors) {
	t.Helper()
	sites, err := a.Sites(Linears(bare))
	if err != nil {
		t.Fatal(err)
	}
	graph, err := Insert(bare, sites, 0)
	if err != nil {
		t.Fatal(err)
	}
	weights := safetensors.Tensors{}
	for _, from := range []safetensors.Tensors{base, a.Tensors} {
		for name, x := range from {
			weights[name] = x
		}
	}
	return graph, weights
}

// TestMergedTensorsAgainstPEFT compares the weights that merge_and_unload leaves.
func TestMergedTensorsAgainstPEFT(t *testing.T) {
	reference := filepath.Join("..", "..", "shared", "reference")
	want, err := safetensors.Load(filepath.Join(reference, "peft-adapters", "all-linear-r4", "merged.safetensors"))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skip("needs the reference numbers beside the project; TestMergedAgreesWithAdapted covers the products without them")
	}
	if err != nil {
		t.Fatal(err)
	}
	base, err := models.Load(filepath.Join(reference, "tiny-roberta"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Load("testdata/all-linear-r4")
	if err != nil {
		t.Fatal(err)
	}
	merged, err := Merge(base.Tensors, a)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range want {
		near(t, name, x.Data, merged[name].Data, 1e-6)
	}
	for name, x := range base.Tensors {
		if _, changes := want[name]; !changes && &merged[name].Data[0] != &x.Data[0] {
			t.Errorf("%s is adapted by nothing but was copied", name)
		}
	}
}

// nano is the small model that lies in the project.
func nano(t *testing.T) *models.Folder {
	t.Helper()
	folder, err := models.Load("../models/testdata/nano-roberta")
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestFirstStepEqualsBase: with B zero, adapting changes no bit of the output.
func TestFirstStepEqualsBase(t *testing.T) {
	base := nano(t)
	bare := forward(t, base)
	sites, err := LoRA{Rank: 4, Alpha: 16}.Sites(Linears(bare))
	if err != nil {
		t.Fatal(err)
	}
	a := &Adapter{LoRA: LoRA{Rank: 4, Alpha: 16}, Tensors: Init(sites, rng.New(1, "lora"))}
	graph, weights := withAdapter(t, bare, base.Tensors, a)
	batch := someBatch()
	if want, got := logits(t, bare, base.Tensors, batch), logits(t, graph, weights, batch); !slices.Equal(want, got) {
		t.Errorf("got %v, want %v to the last bit", got, want)
	}
}

// TestMergedAgreesWithAdapted draws B as well: the product behind the layer and the product inside it have to agree.
func TestMergedAgreesWithAdapted(t *testing.T) {
	base := nano(t)
	bare := forward(t, base)
	for name, l := range map[string]LoRA{
		"every layer": {Rank: 4, Alpha: 16},
		"rslora":      {Rank: 3, Alpha: 2, RSLoRA: true, Targets: []string{"query", "value"}},
		"patterns":    {Rank: 2, Alpha: 4, RankPattern: []Pattern{{"layer.0.output.dense", 5}, {"dense", 1}}},
		"one layer":   {Rank: 2, Alpha: 4, Layers: []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			sites, err := l.Sites(Linears(bare))
			if err != nil {
				t.Fatal(err)
			}
			s := rng.New(2, name)
			a := &Adapter{LoRA: l, Tensors: Init(sites, s)}
			for _, site := range sites {
				for i := range a.Tensors[site.B()].Data {
					a.Tensors[site.B()].Data[i] = float32(s.Normal() * 0.1)
				}
			}
			graph, weights := withAdapter(t, bare, base.Tensors, a)
			merged, err := Merge(base.Tensors, a)
			if err != nil {
				t.Fatal(err)
			}
			batch := someBatch()
			adapted := logits(t, graph, weights, batch)
			near(t, "merged", adapted, logits(t, bare, merged, batch), 2e-5)
			if slices.Equal(adapted, logits(t, bare, base.Tensors, batch)) {
				t.Error("the adapter changes nothing")
			}
		})
	}
}

// TestSitesRefusesAnotherModel puts adapters on a model that they were not made for.
func TestSitesRefusesAnotherModel(t *testing.T) {
	good, err := Load("testdata/all-linear-r4")
	if err != nil {
		t.Fatal(err)
	}
	linears := Linears(forward(t, nano(t)))
	wider := slices.Clone(linears)
	wider[0].In++
	more := append(slices.Clone(linears), Linear{Name: "roberta.encoder.layer.2.attention.self.query", In: 32, Out: 32})
	for name, c := range map[string]struct {
		linears []Linear
		want    string
	}{
		"wider":   {wider, "roberta.encoder.layer.0.attention.self.query is [32 33] in the model, [32 32] in the adapter"},
		"deeper":  {more, "meant for roberta.encoder.layer.2.attention.self.query too but has no tensors for it"},
		"flatter": {linears[1:], "it has tensors for roberta.encoder.layer.0.attention.self.query, which the model does not have"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := good.Sites(c.linears); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// batch is what a model reads.
type batch struct {
	shape            []int
	ids, mask, types []int64
}

func someBatch() batch {
	b := batch{shape: []int{2, 5}, ids: []int64{0, 17, 400, 33, 2, 0, 9, 2, 1, 1}, mask: []int64{1, 1, 1, 1, 1, 1, 1, 1, 0, 0}}
	return b
}

func readBatch(t *testing.T, f *safetensors.File) batch {
	t.Helper()
	ids, err := f.Int64("input_ids")
	if err != nil {
		t.Fatal(err)
	}
	mask, err := f.Int64("attention_mask")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, info := range f.Infos() {
		if info.Name == "input_ids" {
			rows = info.Shape[0]
		}
	}
	types, err := f.Int64("token_type_ids")
	if err != nil {
		types = make([]int64, len(ids)) // a RoBERTa's
	}
	return batch{[]int{rows, len(ids) / rows}, ids, mask, types}
}

func logits(t *testing.T, graph *onnx.Model, weights safetensors.Tensors, b batch) []float32 {
	t.Helper()
	session, err := ort.OpenModel(graph, ort.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	feeds := map[string]*ort.Tensor{"input_ids": orttest.Tensor(t, b.shape, b.ids), "attention_mask": orttest.Tensor(t, b.shape, b.mask)}
	for _, v := range session.Inputs()[2:] {
		if v.Name == "token_type_ids" {
			feeds[v.Name] = orttest.Tensor(t, b.shape, b.types)
			continue
		}
		feeds[v.Name] = orttest.Tensor(t, weights[v.Name].Shape, weights[v.Name].Data)
	}
	fetches := map[string]*ort.Tensor{"logits": nil}
	if err := session.Run(feeds, fetches); err != nil {
		t.Fatal(err)
	}
	defer fetches["logits"].Close()
	return slices.Clone(ort.Data[float32](fetches["logits"]))
}

func near(t *testing.T, name string, want, got []float32, tolerance float64) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d numbers, want %d", name, len(got), len(want))
		return
	}
	worst := 0.0
	for i := range want {
		worst = math.Max(worst, math.Abs(float64(want[i])-float64(got[i])))
	}
	if !(worst <= tolerance) {
		t.Errorf("%s: off by %.3g, allowed %.3g", name, worst, tolerance)
	}
}

func forward(t *testing.T, base *models.Folder) *onnx.Model {
	t.Helper()
	graph, err := base.Architecture.Forward(models.Dropout{})
	if err != nil {
		t.Fatal(err)
	}
	return graph
}
