package train

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"metalora/adapters"
	"metalora/models"
	"metalora/onnx"
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
					adapter := drawn(t, folder, adapters.LoRA{Rank: max(rank, 1), Alpha: 8}, "lowered")
					if rank > 0 {
						spec.Sites, spec.Trains = adapter.Sites, Base|Head|Adapter
					}
					for _, name := range spec.Trained() { // a bare model's head is the adapter's too
						if x, ok := adapter.Tensors[name]; ok {
							tensors[name] = x
						}
					}
					compareLowered(t, spec, func() *Set { return newSet(t, tensors.Clone(), folder.Architecture) })
					checkFused(t, spec)
					checkCounts(t, spec)
				})
			}
		}
	}
}

// TestLoweredExports: the same of every export, attention in all the forms that exporters write it included.
func TestLoweredExports(t *testing.T) {
	if !kernels.Supported() {
		t.Skip("no kernels on this machine")
	}
	eachExport(t, func(t *testing.T, export *models.Folder, _, _ string) {
		adapter := drawn(t, export, adapters.LoRA{Rank: 4, Alpha: 8}, "lowered")
		for _, rate := range []float64{0, 0.1} {
			spec := Spec{Architecture: export.Architecture, Trains: Base | Head | Adapter, Sites: adapter.Sites, LoRADropout: rate,
				Dropout: models.Dropout{Hidden: rate, Attention: rate, Head: rate}}
			compareLowered(t, spec, func() *Set { return newSet(t, overlaid(export.Tensors, adapter.Tensors), export.Architecture) })
			checkFused(t, spec)
			checkCounts(t, spec)
		}
	})
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

// checkCounts: a graph with fused operators counts the plain one's products, less traffic and no more memory, and knows every shape.
func checkCounts(t *testing.T, spec Spec) {
	t.Helper()
	p, err := spec.program()
	if err != nil {
		t.Fatal(err)
	}
	var counts [2]onnx.Count
	var lives [2]onnx.Live
	for i, graph := range []*onnx.Model{p.plain, p.graph} {
		if counts[i], err = onnx.CountWork(graph, Shape{4, 9}.sizes()); err != nil {
			t.Fatal(err)
		}
		if lives[i], err = onnx.CountLive(graph, Shape{4, 9}.sizes()); err != nil {
			t.Fatal(err)
		}
	}
	plain, fused := counts[0], counts[1]
	if fused.Flops != plain.Flops || fused.Unknown != 0 || fused.Nodes >= plain.Nodes || fused.Activations >= plain.Activations {
		t.Errorf("counted %+v, without kernels %+v", fused, plain)
	}
	more := int64(0) // places of tokens and where rows begin
	if p.packed {
		more = 8 * (4*9 + 4)
	}
	if lives[1].Values > lives[0].Values || lives[1].Fed != lives[0].Fed+more || lives[1].Fetched != lives[0].Fetched {
		t.Errorf("memory %+v, without kernels %+v", lives[1], lives[0])
	}
}

// TestMemoryOfSums: a weight whose gradient adds to its accumulator in the run takes no memory for a copy, and others do.
func TestMemoryOfSums(t *testing.T) {
	if !kernels.Supported() {
		t.Skip("no kernels on this machine")
	}
	plain := Spec{Architecture: loadModel(t, micro("nano-bert")).Architecture, Trains: Base | Head}
	fused := plain
	plain.NoKernels = true
	p, err := fused.program()
	if err != nil {
		t.Fatal(err)
	}
	summed, all := int64(-8*(4*9+4)), fused.trained() // less the places of tokens and where rows begin
	for _, g := range p.gradients {
		if p.sums[g.Output] {
			summed += all[g.Of].bytes
		}
	}
	if summed <= 0 {
		t.Fatal("no gradient adds to its accumulator")
	}
	var slices [2]int64
	for i, s := range []Spec{plain, fused} {
		m, err := s.Memory([]Shape{{4, 9}}, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		slices[i] = m.Slices
	}
	if slices[0]-slices[1] != summed {
		t.Errorf("%d bytes, without kernels %d: want %d less", slices[1], slices[0], summed)
	}
}
