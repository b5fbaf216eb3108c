package pipeline

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/adapters"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/onnx/ort"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
)

const nano = "../models/testdata/nano-roberta"

// nanoAdapter writes a LoRA adapter and a head for nano-roberta that change its logits.
func nanoAdapter(t *testing.T) string {
	t.Helper()
	base, err := models.Load(nano)
	if err != nil {
		t.Fatal(err)
	}
	l := adapters.LoRA{Rank: 3, Alpha: 6, Targets: []string{"query", "value", "dense"}}
	found, err := sites(base.Architecture, l)
	if err != nil {
		t.Fatal(err)
	}
	s := rng.New(4, "adapter")
	tensors := merged(adapters.Init(found, s), models.FreshHead(base.Architecture, s))
	for _, site := range found {
		for i := range tensors[site.B()].Data {
			tensors[site.B()].Data[i] = float32(s.Normal() / 10)
		}
	}
	dir := t.TempDir()
	a := adapters.Adapter{LoRA: l, Base: "nano-roberta", Tensors: tensors}
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rowLogits runs one row through a model, with an adapter or without.
func rowLogits(t *testing.T, model, adapter string) []float32 {
	t.Helper()
	s, err := OpenScorer(model, adapter, 1, ort.CPU)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	logits, err := s.Logits(t.Context(), []int{0, 17, 4, 900, 2, 2, 30, 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return logits
}

// TestExport writes nano-roberta at several operator sets, bare and with an adapter in both ways, reads the file again as a
// base and compares its logits with the folder's. (The export itself compares what the engine makes of the file.)
func TestExport(t *testing.T) {
	adapter := nanoAdapter(t)
	for _, opset := range []int64{14, 17, 20, onnx.NewestOpset} {
		for name, o := range map[string]ExportOptions{"bare": {}, "merged": {Adapter: adapter, Merge: true}, "fed": {Adapter: adapter}, "fed, no defaults": {Adapter: adapter, Bare: true}} {
			t.Run(fmt.Sprintf("%s at opset %d", name, opset), func(t *testing.T) {
				dir := t.TempDir()
				o.Model, o.Opset, o.Out = nano, opset, filepath.Join(dir, "nano.onnx")
				e, err := ExportONNX(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if e.Rows == 0 || !(e.Difference < 1e-5) {
					t.Errorf("%+v", e)
				}
				compareExport(t, dir, o)
			})
		}
	}
}

func compareExport(t *testing.T, dir string, o ExportOptions) {
	t.Helper()
	files := []string{"nano.onnx"}
	want, got := rowLogits(t, nano, o.Adapter), []float32(nil)
	if o.Adapter != "" && !o.Merge {
		files = append(files, "nano.onnx_adapter")
		if m, err := onnx.ReadFile(o.Out); err != nil || len(m.Graph.Inputs) <= 2 {
			t.Errorf("the file has no inputs for the adapter (%v)", err)
		} else if named := slices.ContainsFunc(m.Graph.Initializers, func(x *onnx.Tensor) bool { return strings.Contains(x.Name, ".lora_A") }); named == o.Bare {
			t.Errorf("the adapter's inputs have defaults: %v", named)
		}
		got = want // the file of a base with places for adapters is compared by the export alone
	} else {
		got = rowLogits(t, o.Out, "")
	}
	if d, err := differ(want, got); err != nil || d > 1e-5 {
		t.Errorf("logits %v, the folder's %v", got, want)
	}
	found := map[string]bool{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		found[e.Name()] = true
	}
	if diff := cmp.Diff(files, slices.Sorted(maps.Keys(found))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestExportRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "there.onnx"), "x")
	headless := filepath.Join(dir, "headless")
	base, err := models.Load(nano)
	if err != nil {
		t.Fatal(err)
	}
	encoder, _ := models.Split(base.Architecture, base.Tensors)
	if err := base.Architecture.Save(headless, encoder, ""); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    ExportOptions
		code int
		want string
	}{
		"merge of nothing": {ExportOptions{Model: nano, Merge: true}, fault.CodeUsage, "--adapter"},
		"bare merge":       {ExportOptions{Model: nano, Bare: true}, fault.CodeUsage, "--no-defaults"},
		"old opset":        {ExportOptions{Model: nano, Opset: 13}, fault.CodeUsage, "opset 13"},
		"future opset":     {ExportOptions{Model: nano, Opset: 99}, fault.CodeUsage, "opset 99"},
		"other name":       {ExportOptions{Model: nano, Out: filepath.Join(dir, "a.bin")}, fault.CodeUsage, ".onnx"},
		"there":            {ExportOptions{Model: nano, Out: filepath.Join(dir, "there.onnx")}, fault.CodeUsage, "exists"},
		"no model":         {ExportOptions{Model: filepath.Join(dir, "none")}, fault.CodeInput, "none"},
		"no head":          {ExportOptions{Model: headless}, fault.CodeInput, "classification head"},
		"no adapter":       {ExportOptions{Model: nano, Adapter: filepath.Join(dir, "none")}, fault.CodeInput, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.o.Opset == 0 {
				c.o.Opset = onnx.DefaultOpset
			}
			if c.o.Out == "" {
				c.o.Out = filepath.Join(dir, "new.onnx")
			}
			_, err := ExportONNX(t.Context(), c.o)
			if fault.Code(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v (exit %d), want exit %d and %q", err, fault.Code(err), c.code, c.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "new.onnx")); err == nil {
				t.Error("a file is left behind")
			}
		})
	}
}

func TestMergeAdapter(t *testing.T) {
	adapter, out := nanoAdapter(t), filepath.Join(t.TempDir(), "merged")
	merged, err := MergeAdapter(t.Context(), nano, adapter, out)
	if err != nil {
		t.Fatal(err)
	}
	if d := merged.Difference; !(d > 0 && d < 1e-5) {
		t.Errorf("difference %v", d)
	}
	if d, err := differ(rowLogits(t, nano, adapter), rowLogits(t, out, "")); err != nil || d > 1e-5 {
		t.Errorf("logits differ by %v (%v)", d, err)
	}
	if _, err := MergeAdapter(t.Context(), nano, adapter, out); fault.Code(err) != fault.CodeUsage {
		t.Errorf("merging over a folder that is there: %v", err)
	}
}

// TestExportAsBase: an export is saved, with other weights and without its head, and is a base again.
func TestExportAsBase(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "nano.onnx")
	if _, err := ExportONNX(t.Context(), ExportOptions{Model: nano, Opset: 17, Out: file}); err != nil {
		t.Fatal(err)
	}
	base, err := models.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	encoder, head := models.Split(base.Architecture, base.Tensors)
	if len(head) != 4 || !base.HasHead {
		t.Fatalf("head %v", head.Names())
	}
	encoder = encoder.Clone()
	encoder["roberta.embeddings.LayerNorm.bias"].Data[0]++
	bare, whole := filepath.Join(dir, "bare"), filepath.Join(dir, "whole")
	for path, tensors := range map[string]safetensors.Tensors{bare: encoder, whole: merged(encoder, head)} {
		if err := base.Architecture.Save(path, tensors, ""); err != nil {
			t.Fatal(err)
		}
		again, err := models.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tensors, again.Tensors); diff != "" || again.HasHead != (path == whole) {
			t.Errorf("head %v, tensors (-saved +loaded):\n%s", again.HasHead, diff)
		}
		if diff := cmp.Diff(base.Architecture.Parameters(), again.Architecture.Parameters()); diff != "" {
			t.Errorf("parameters (-export +saved):\n%s", diff)
		}
		if base.Architecture.Limits() != again.Architecture.Limits() {
			t.Errorf("limits %+v, saved %+v", base.Architecture.Limits(), again.Architecture.Limits())
		}
	}
	dropout := models.Dropout{Hidden: 0.1, Attention: 0.1, Head: 0.1}
	folder, err := models.Load(nano)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(maskInputs(t, folder.Architecture, dropout), maskInputs(t, base.Architecture, dropout)); diff != "" {
		t.Errorf("masks of dropout (-folder's +export's):\n%s", diff)
	}
	if got, want := base.Architecture.Limits(), folder.Architecture.Limits(); got != want {
		t.Errorf("limits %+v, the folder's %+v", got, want)
	}
	if d, _ := differ(rowLogits(t, file, ""), rowLogits(t, whole, "")); d < 1e-3 {
		t.Error("the changed weight changes nothing")
	}
	delete(encoder, "roberta.embeddings.LayerNorm.bias")
	if err := base.Architecture.Save(filepath.Join(dir, "less"), encoder, ""); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("saving without a weight: %v", err)
	}
}

// maskInputs are the masks that a graph reads in training.
func maskInputs(t *testing.T, a models.Architecture, d models.Dropout) (masks []onnx.ValueInfo) {
	t.Helper()
	graph, err := a.Forward(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range graph.Graph.Inputs {
		if onnx.DropoutRate(graph, v.Name) > 0 {
			masks = append(masks, v)
		}
	}
	return masks
}

// TestExportedFamilies: an export of each family has the folder's parameters, bounds and places of dropout.
func TestExportedFamilies(t *testing.T) {
	for _, family := range []string{"roberta", "bert", "distilbert"} {
		t.Run(family, func(t *testing.T) {
			dir := t.TempDir()
			config := `{"model_type":"` + family + `","vocab_size":40,"hidden_size":8,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":12,
				"max_position_embeddings":20,"type_vocab_size":2,"dim":8,"n_layers":2,"n_heads":2,"hidden_dim":12}`
			write(t, filepath.Join(dir, "config.json"), config)
			c, err := models.ReadConfig(filepath.Join(dir, "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Save(filepath.Join(dir, "folder"), models.Initialise(c, rng.New(1, family)), ""); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "model.onnx")
			if _, err := ExportONNX(t.Context(), ExportOptions{Model: filepath.Join(dir, "folder"), Opset: 17, Out: file}); err != nil {
				t.Fatal(err)
			}
			export, err := models.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			sorted := func(a models.Architecture) []models.Parameter {
				return slices.SortedFunc(slices.Values(a.Parameters()), func(x, y models.Parameter) int { return strings.Compare(x.Name, y.Name) })
			}
			if diff := cmp.Diff(sorted(c), sorted(export.Architecture)); diff != "" {
				t.Errorf("parameters (-folder's +export's):\n%s", diff)
			}
			if got, want := export.Architecture.Limits(), c.Limits(); got != want {
				t.Errorf("limits %+v, the folder's %+v", got, want)
			}
			d := models.Dropout{Hidden: 0.1, Attention: 0.1, Head: 0.1}
			if diff := cmp.Diff(maskInputs(t, c, d), maskInputs(t, export.Architecture, d)); diff != "" {
				t.Errorf("masks of dropout (-folder's +export's):\n%s", diff)
			}
		})
	}
}

// TestUnopened: where the engine refuses a file's graph, the file is at fault and named.
func TestUnopened(t *testing.T) {
	c := models.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize, c.MaxPositionEmbeddings = 12, 4, 1, 2, 6, 8
	path, _ := exported(t, c)
	m, err := onnx.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Graph.Nodes {
		if n.Op == "Tanh" {
			n.Attrs = append(n.Attrs, onnx.IntAttr("steepness", 2)) // which Tanh does not have
		}
	}
	if err := m.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	_, err = OpenScorer(path, "", 1, "")
	if fault.Code(err) != fault.CodeInput || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "steepness") {
		t.Errorf("%v", err)
	}
}
