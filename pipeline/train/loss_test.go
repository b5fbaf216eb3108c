package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"metalora/models"
)

// TestHugeLogits: where e^logit is far beyond float32, the loss and its gradients are those of the stable form, computed
// here in float64 from the engine's own logits: in our graph, and in exports of it. The head's last layer, from which the
// logits come without a bias of note, is multiplied up to 1e30.
func TestHugeLogits(t *testing.T) {
	t.Run("ours", func(t *testing.T) {
		for _, factor := range []float32{1, 1e3, 1e10, 1e30} {
			t.Run(fmt.Sprint(factor), func(t *testing.T) { hugeLogits(t, loadModel(t, "testdata/nano-roberta"), factor) })
		}
	})
	t.Run("exports", func(t *testing.T) {
		eachExport(t, func(t *testing.T, export *models.Folder, _, _ string) { hugeLogits(t, export, 1e30) })
	})
}

func hugeLogits(t *testing.T, folder *models.Folder, factor float32) {
	last := ""
	for _, p := range folder.Architecture.Parameters() {
		if p.Head && !p.Pooler && len(p.Shape) == 2 && p.Shape[0] == 2 {
			last = p.Name
		}
	}
	tensors := folder.Tensors.Clone()
	for i := range tensors[last].Data {
		tensors[last].Data[i] *= factor
	}
	spec := Spec{Architecture: folder.Architecture, Trains: Head, Threads: 1}
	scorer := newEngine(t, Spec{Architecture: folder.Architecture, Threads: 1})
	engine, set := newEngine(t, spec), newSet(t, tensors, folder.Architecture)
	drawn, _, _ := drawnTurns([]int{6}, 9)
	turn := drawn[0]
	logits, err := scorer.Logits(t.Context(), turn.Batch, set)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := engine.Accumulate(t.Context(), turn, turn.Rows, nil, set)
	if err != nil {
		t.Fatal(err)
	}
	want, bias := stableLoss(logits, turn.Gold)
	if notFinite(loss) || math.Abs(loss-want) > 1e-5*(1+math.Abs(want)) {
		t.Errorf("loss %v, want %v for the logits %v", loss, want, logits)
	}
	if _, culprit := gradientNorm(engineParams(spec, set)); culprit != "" {
		t.Errorf("the gradient of %s is not finite", culprit)
	}
	name := last[:len(last)-len("weight")] + "bias"
	if got := set.params[name].gradient(); !slices.EqualFunc(got, bias, func(a float32, b float64) bool { return math.Abs(float64(a)-b) < 1e-5 }) {
		t.Errorf("gradient of %s: %v, want %v", name, got, bias)
	}
}

func engineParams(s Spec, set *Set) []*Param {
	var params []*Param
	for _, name := range s.Trained() {
		params = append(params, set.params[name])
	}
	return params
}

// stableLoss is the mean cross-entropy of pairs of logits, of which gold's label is 1 and the others' 0, and its gradient by
// the bias of the logits: log(e^a + e^b) is the larger one plus log(1 + e^-|a-b|).
func stableLoss(logits []float32, gold int) (loss float64, bias []float64) {
	rows := len(logits) / 2
	bias = make([]float64, 2)
	for row := range rows {
		pair := []float64{float64(logits[2*row]), float64(logits[2*row+1])}
		label := 0
		if row == gold {
			label = 1
		}
		sum := max(pair[0], pair[1]) + math.Log1p(math.Exp(-math.Abs(pair[0]-pair[1])))
		loss += (sum - pair[label]) / float64(rows)
		for i := range pair {
			bias[i] += math.Exp(pair[i]-sum) / float64(rows)
		}
		bias[label] -= 1 / float64(rows)
	}
	return loss, bias
}
