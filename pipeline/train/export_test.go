package train

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metalora/adapters"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/rng"
	"metalora/tokenize"
)

// eachExport runs a test on every export of the reference that can be trained, with the Hugging Face folder that it was made of.
func eachExport(t *testing.T, f func(t *testing.T, export *models.Folder, name, original string)) {
	data, err := os.ReadFile(filepath.Join(reference(t, "onnx-exports"), "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index map[string]struct{ Model string }
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	for name, e := range index {
		if name == "int8" || name == "float16" {
			continue // the one is refused, the other's weights are others
		}
		t.Run(name, func(t *testing.T) {
			f(t, loadModel(t, reference(t, "onnx-exports", name+".onnx")), name, e.Model)
		})
	}
}

// TestExportSparesWork: an export costs the products that the Hugging Face folder's graph costs: of the last layer, too, only
// each row's first token is computed. Optimum's asks for the shape of the last queries and so keeps them all; the dynamo
// exporter's, unoptimised, hides the head's choice behind a Slice that takes everything.
func TestExportSparesWork(t *testing.T) {
	eachExport(t, func(t *testing.T, export *models.Folder, name, original string) {
		got, want, most := products(t, export), products(t, loadModel(t, reference(t, original))), 1.0
		switch {
		case strings.Contains(name, "optimum") && !strings.Contains(name, "fused"):
			most = 1.1
		case name == "dynamo-20-unoptimised":
			most = 1.7
		}
		if ratio := float64(got) / float64(want); ratio > most {
			t.Errorf("%.3f times the floating-point operations, want at most %v", ratio, most)
		}
	})
}

// products counts a step's floating-point operations in matrix products.
func products(t *testing.T, f *models.Folder) int64 {
	t.Helper()
	flops, err := newEngine(t, Spec{Architecture: f.Architecture}).Flops(3, 50)
	if err != nil {
		t.Fatal(err)
	}
	return flops
}

// TestExportGradients: every gradient of every export is float64 PyTorch's of the model that was exported.
func TestExportGradients(t *testing.T) {
	var index gradientIndex
	readJSON(t, reference(t, "gradients", "index.json"), &index)
	eachExport(t, func(t *testing.T, export *models.Folder, _, original string) {
		golden := openFixture(t, reference(t, "gradients", original+".safetensors"))
		spec, sets := Spec{Architecture: export.Architecture, Trains: Base | Head}, []*Set{newSet(t, export.Tensors, export.Architecture)}
		loss := accumulateFixture(t, newEngine(t, spec), golden, sets)
		if want := golden.doubles("loss")[0]; math.Abs(loss-want) > 1e-6*math.Abs(want) {
			t.Errorf("loss %v, want %v", loss, want)
		}
		for name, entry := range index[original].Tensors {
			compareGradient(t, golden, find(sets, name), entry.Error)
		}
		if got, want := len(spec.Trained()), len(index[original].Tensors); got != want {
			t.Errorf("%d gradients, want %d", got, want)
		}
	})
}

// TestExportTrains: three steps of an export, all weights and LoRA with its dropout and the model's, end where the Hugging
// Face folder's do: the masks fall alike because the graph's places are found in the same order.
func TestExportTrains(t *testing.T) {
	originals := map[string]map[string]*Set{}
	eachExport(t, func(t *testing.T, export *models.Folder, _, original string) {
		if originals[original] == nil {
			originals[original] = threeSteps(t, loadModel(t, reference(t, original)))
		}
		compareTraining(t, originals[original], threeSteps(t, export))
	})
}

// compareTraining compares the weights that trainings ended with, by the way they went.
func compareTraining(t *testing.T, want, got map[string]*Set) {
	t.Helper()
	for name, set := range want {
		for _, p := range set.Names() {
			if !strings.HasSuffix(p, "key.bias") && !strings.HasSuffix(p, "k_lin.bias") { // whose gradient is rounding alone
				nearlyEqual(t, name+": "+p, set.params[p].Value, got[name].params[p].Value)
			}
		}
	}
}

// nearlyEqual holds numbers to 1e-4 of the largest.
func nearlyEqual(t *testing.T, name string, want, got []float32) {
	t.Helper()
	largest := 0.0
	for _, x := range want {
		largest = math.Max(largest, math.Abs(float64(x)))
	}
	compareSlices(t, name, want, got, 1e-4*largest)
}

// threeSteps trains a model over drawn turns in the ways that differ in their graph, and returns the weights by way.
func threeSteps(t *testing.T, folder *models.Folder) map[string]*Set {
	t.Helper()
	sites := lora4(t, folder.Architecture)
	adapter := adapters.Init(sites, rng.New(5, "adapter"))
	for _, s := range sites {
		b := adapter[s.B()]
		for i := range b.Data {
			b.Data[i] = float32(i%7-3) / 100 // so that A has a gradient at once
		}
	}
	const rate = 0.1
	dropout := models.Dropout{Hidden: rate, Attention: rate, Head: rate}
	weights := map[string]*Set{
		"all weights": newSet(t, overlaid(folder.Tensors, nil), folder.Architecture),
		"LoRA":        newSet(t, overlaid(folder.Tensors, adapter), folder.Architecture),
	}
	trainThree(t, Spec{Architecture: folder.Architecture, Trains: Base | Head, Dropout: dropout}, weights["all weights"])
	trainThree(t, Spec{Architecture: folder.Architecture, Trains: Adapter | Head, Dropout: dropout, Sites: sites, LoRADropout: rate}, weights["LoRA"])
	return weights
}

// overlaid copies two sets of tensors into one.
func overlaid(base, more safetensors.Tensors) safetensors.Tensors {
	all := base.Clone()
	for name, x := range more.Clone() {
		all[name] = x
	}
	return all
}

func trainThree(t *testing.T, spec Spec, set *Set) {
	t.Helper()
	spec.Threads = 1
	adam := DefaultAdamW
	adam.Epsilon = 1e-5 // above rounding, which the default's would blow up to whole steps where a gradient is nearly zero
	drawn, _, _ := drawnTurns([]int{4, 3, 4}, 9)
	var turns []Turn
	for i, turn := range drawn {
		turn.Batch = tokenize.NewBatch(shortened(turn.Batch, i, spec.Architecture.Limits().Vocabulary), spec.Architecture.Limits().Pad)
		turns = append(turns, *turn)
	}
	run := &Run{Engine: newEngine(t, spec), Shared: set, Tasks: []Task{{Name: "drawn", Train: turns}}, AdamW: adam, Trained: spec.Trained(), Seed: 3}
	run.Plan = NewPlan(TaskAfterTask, []int{len(turns)}, 1, 1, inOrder([]int{len(turns)}))
	run.Schedule = OverRun(1e-3, 0, len(run.Plan))
	if err := run.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// shortened takes ids off the ends of rows, so that there are pads, and keeps the others within the vocabulary.
func shortened(b tokenize.Batch, i, vocabulary int) [][]int {
	rows := make([][]int, b.Rows)
	for r := range rows {
		for _, id := range b.IDs[r*b.Length : (r+1)*b.Length-r%3-i] {
			rows[r] = append(rows[r], int(id)%vocabulary)
		}
	}
	return rows
}
