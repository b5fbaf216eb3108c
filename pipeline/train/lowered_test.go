package train

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"metalora/adapters"
	"metalora/models"
	"metalora/onnx/kernels"
	"metalora/pipeline/rng"
)

// loweredModels are small models of every family and activation, and one that another exporter wrote, with three dimensions.
var loweredModels = []string{"nano-bert", "micro/bert-relu", "micro/bert-gelu-new", "micro/distilbert", "micro/xlm-roberta",
	"exports/distilbert-bare.onnx"}

// TestLoweredGradients: a graph with fused operators gives the plain one's loss and gradients, whatever trains and with
// dropout's masks or without, and none of the chains that they stand for are left.
func TestLoweredGradients(t *testing.T) {
	if !kernels.Supported() {
		t.Skip("no kernels on this machine")
	}
	for _, name := range loweredModels {
		for _, rate := range []float64{0, 0.1} {
			for _, rank := range []int{0, 4} {
				t.Run(fmt.Sprint(filepath.Base(name), rate, rank), func(t *testing.T) {
					folder := loadModel(t, micro(name))
					spec := Spec{Architecture: folder.Architecture, Trains: Base | Head, LoRADropout: rate,
						Dropout: models.Dropout{Hidden: rate, Attention: rate, Head: rate}}
					tensors := folder.Tensors.Clone()
					for name, x := range models.FreshHead(folder.Architecture, rng.New(1, "head")) {
						if _, there := tensors[name]; !there {
							tensors[name] = x
						}
					}
					if rank > 0 {
						adapter := drawn(t, folder, adapters.LoRA{Rank: rank, Alpha: 8}, "lowered")
						spec.Sites, spec.Trains = adapter.Sites, Base|Head|Adapter
						for name, x := range adapter.Tensors {
							tensors[name] = x
						}
					}
					compareLowered(t, spec, func() *Set { return newSet(t, tensors.Clone(), folder.Architecture) })
					checkFused(t, spec)
				})
			}
		}
	}
}

// compareLowered compares a step of an engine with kernels with one without.
func compareLowered(t *testing.T, spec Spec, set func() *Set) {
	t.Helper()
	plain := spec
	plain.NoKernels = true
	var losses [2]float64
	sets := [2]*Set{set(), set()}
	for i, s := range []Spec{plain, spec} {
		turn := drawTurn(s.Architecture.Limits(), 4, 9, rng.New(1, "turn"))
		turn.Gold = 2
		loss, err := newEngine(t, s).Accumulate(t.Context(), turn, turn.Rows, rng.New(1, "masks"), sets[i])
		if err != nil {
			t.Fatal(err)
		}
		losses[i] = loss
	}
	if math.Abs(losses[1]-losses[0]) > 1e-5 {
		t.Errorf("loss %v, without kernels %v", losses[1], losses[0])
	}
	for _, name := range spec.Trained() {
		want, got := sets[0].params[name].gradient(), sets[1].params[name].gradient()
		largest := 0.0
		for _, v := range want {
			largest = max(largest, math.Abs(float64(v)))
		}
		compareSlices(t, name, want, got, 1e-7+3e-6*largest)
	}
}

// checkFused counts what is left of the chains.
func checkFused(t *testing.T, spec Spec) {
	t.Helper()
	graph, _, err := spec.graph()
	if err != nil {
		t.Fatal(err)
	}
	before, after := map[string]int{}, map[string]int{}
	for _, n := range graph.Graph.Nodes {
		before[n.Op]++
	}
	for _, n := range kernels.Lower(graph).Graph.Nodes {
		after[n.Op]++
	}
	for _, op := range []string{"ReduceMean", "HardSigmoid"} {
		if after[op] > 0 {
			t.Errorf("%d of %d %s are left", after[op], before[op], op)
		}
	}
	if blocks := before["Softmax"]; after["Softmax"] > 0 || after["Attention"] != blocks || after["AttentionGrad"] != blocks {
		t.Errorf("%d Softmax are left of %d, with %d Attention and %d AttentionGrad", after["Softmax"], blocks, after["Attention"], after["AttentionGrad"])
	}
	if norms := before["LayerNormalization"]; after["LayerNormalizationGrad"] != norms {
		t.Errorf("%d gradients of %d norms", after["LayerNormalizationGrad"], norms)
	}
	if spec.LoRADropout > 0 && after["Mask"] == 0 {
		t.Error("no masks")
	}
	if after["ColumnSum"] == 0 {
		t.Error("no sums")
	}
}
