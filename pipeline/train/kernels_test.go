package train

import (
	"math"
	"testing"

	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/pipeline/rng"
)

// TestKernels: an engine with operators of our own computes what one without does, and says that its bits are others.
func TestKernels(t *testing.T) {
	if !kernels.Supported() {
		t.Skip("no kernels on this machine")
	}
	folder := loadModel(t, micro("nano-bert"))
	spec := Spec{Architecture: folder.Architecture, Trains: Base | Head}
	plain := spec
	plain.NoKernels = true
	sets, losses, sums := map[bool]*Set{}, map[bool]float64{}, map[bool]string{}
	for own, s := range map[bool]Spec{true: spec, false: plain} {
		turns, _, _ := drawnTurns([]int{4}, 9)
		sets[own] = newSet(t, folder.Tensors.Clone(), folder.Architecture)
		e := newEngine(t, s)
		loss, err := e.Accumulate(t.Context(), turns[0], turns[0].Rows, rng.New(1, "none"), sets[own])
		if err != nil {
			t.Fatal(err)
		}
		losses[own], sums[own] = loss, e.Sum()
	}
	if sums[true] == sums[false] {
		t.Error("both engines have the sum", sums[true])
	}
	if math.Abs(losses[true]-losses[false]) > 1e-5 {
		t.Errorf("loss %v, without kernels %v", losses[true], losses[false])
	}
	for _, name := range sets[false].Names() {
		compareSlices(t, name, sets[false].params[name].gradient(), sets[true].params[name].gradient(), 1e-6)
	}
}

// TestKernelsStayOnTheCPU: what another device computes is left to it.
func TestKernelsStayOnTheCPU(t *testing.T) {
	graph, _, err := Spec{Architecture: loadModel(t, micro("nano-bert")).Architecture}.graph()
	if err != nil {
		t.Fatal(err)
	}
	if (Spec{Device: ort.CUDA}).lower(graph) != graph || (Spec{NoKernels: true}).lower(graph) != graph {
		t.Error("the graph was lowered")
	}
	if lowered := (Spec{Device: ort.CPU}).lower(graph); kernels.Supported() == (lowered == graph) {
		t.Errorf("lowered: %v; supported: %v", lowered != graph, kernels.Supported())
	}
}
