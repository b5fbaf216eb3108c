package train

import (
	"slices"
	"strings"
	"testing"

	"metalora/models"
	"metalora/onnx"
)

// biased is a model whose logits rise with a row's place.
type biased struct{ models.Architecture }

func (b biased) Forward(d models.Dropout) (*onnx.Model, error) {
	m, err := b.Architecture.Forward(d)
	if err != nil {
		return nil, err
	}
	for _, n := range m.Graph.Nodes {
		if i := slices.Index(n.Outputs, "logits"); i >= 0 {
			n.Outputs[i] = "unbiased"
		}
	}
	g := onnx.NewBuilder(m.Graph)
	ones := g.Op("Add", []string{g.Op("Mul", []string{"unbiased", g.Scalar(0)}), g.Scalar(1)})
	g.Named("logits", "Add", []string{"unbiased", g.Op("CumSum", []string{ones, g.Int(0)})})
	return m, nil
}

// TestCheckOrder: the model's scores do not hang on a candidate's place, however long and unequal the rows; those of a model that
// counts rows are refused.
func TestCheckOrder(t *testing.T) {
	folder := loadModel(t, "testdata/nano-roberta")
	set := newSet(t, folder.Tensors, folder.Architecture)
	for name, length := range map[string]int{"short": 6, "long": 120} {
		turns, _, _ := drawnTurns([]int{20}, length)
		if err := newEngine(t, Spec{Architecture: folder.Architecture}).CheckOrder(t.Context(), turns[0], set); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		again := turns[0].reversed().reversed()
		if back := turns[0].reversed(); slices.Equal(back.IDs, turns[0].IDs) || !slices.Equal(again.IDs, turns[0].IDs) || back.Gold != 0 {
			t.Errorf("%s: reversed %v, gold %d", name, back.IDs, back.Gold)
		}
	}
	turns, _, _ := drawnTurns([]int{4}, 6)
	err := newEngine(t, Spec{Architecture: biased{folder.Architecture}}).CheckOrder(t.Context(), turns[0], set)
	if err == nil || !strings.Contains(err.Error(), "candidate 0 scores") {
		t.Errorf("a model that counts rows: %v", err)
	}
}
