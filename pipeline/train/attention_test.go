package train

import (
	"testing"

	"metalora/models"
	"metalora/models/safetensors"
)

// TestFusedAttentionTrains: exports whose attention is one operator, ONNX's own or ONNX Runtime's, train with the folder,
// dropout of attention probabilities included.
func TestFusedAttentionTrains(t *testing.T) {
	for name, folder := range map[string]*models.Folder{
		"attention-23": loadModel(t, micro("micro/xlm-roberta")),
		"multihead":    firstRows(loadModel(t, micro("nano-bert")), 40, 16),
	} {
		t.Run(name, func(t *testing.T) {
			export := loadModel(t, micro("exports/"+name+".onnx"))
			for _, n := range export.Names {
				if n.Guess {
					t.Errorf("the name %s is a guess", n.Name)
				}
			}
			if got, want := products(t, export), products(t, folder); got > want {
				t.Errorf("%d floating-point operations, the folder's graph has %d", got, want)
			}
			compareTraining(t, threeSteps(t, folder), threeSteps(t, export))
		})
	}
}

// firstRows is a model with the first rows of its tables of words and positions alone.
func firstRows(f *models.Folder, words, positions int) *models.Folder {
	c := f.Architecture.(models.Config)
	c.VocabSize, c.MaxPositionEmbeddings = words, positions
	cut := &models.Folder{Architecture: c, Tensors: f.Tensors.Clone(), HasHead: f.HasHead}
	for _, p := range c.Parameters() {
		cut.Tensors[p.Name] = safetensors.Tensor{Shape: p.Shape, Data: f.Tensors[p.Name].Data[:product(p.Shape)]}
	}
	return cut
}
