package train

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/rng"
)

// micro is a file below models/testdata.
func micro(name string) string { return "../../models/testdata/" + name }

// TestBareExportTrains: an encoder that was exported without a head has the parameters of the folder that it was exported
// from, gets the head of its family, and trains with the folder, dropout's masks included. BERT's pooler is in the file, and
// stays the head's.
func TestBareExportTrains(t *testing.T) {
	for name, original := range map[string]string{"roberta-bare": "xlm-roberta", "bert-bare": "bert-relu", "distilbert-bare": "distilbert"} {
		t.Run(name, func(t *testing.T) {
			export, folder := loadModel(t, micro("exports/"+name+".onnx")), loadModel(t, micro("micro/"+original))
			if export.HasHead {
				t.Error("it has a head")
			}
			bare, head := models.Split(folder.Architecture, folder.Tensors)
			bare = overlaid(bare, models.Poolers(folder.Architecture, folder.Tensors))
			for _, n := range bare.Names() {
				if !slices.Equal(bare[n].Data, export.Tensors[n].Data) {
					t.Errorf("%s is not what was exported", n)
				}
			}
			if len(bare) != len(export.Tensors) {
				t.Errorf("%d tensors, exported were %d", len(export.Tensors), len(bare))
			}
			if got, want := byName(export.Architecture), byName(folder.Architecture); !slices.EqualFunc(got, want, same) {
				t.Errorf("parameters %v, the folder's %v", got, want)
			}
			export.Tensors = overlaid(export.Tensors, head)
			compareTraining(t, threeSteps(t, folder), threeSteps(t, export))
		})
	}
}

// byName are a model's parameters in the order of their names.
func byName(a models.Architecture) []models.Parameter {
	return slices.SortedFunc(slices.Values(a.Parameters()), func(a, b models.Parameter) int { return strings.Compare(a.Name, b.Name) })
}

func same(a, b models.Parameter) bool {
	return a.Name == b.Name && slices.Equal(a.Shape, b.Shape) && a.Head == b.Head && a.Pooler == b.Pooler && a.Pad == b.Pad
}

// TestFreshHeadOfExport: a head drawn for a bare export is the one drawn for its folder, whatever order the graphs read them in.
func TestFreshHeadOfExport(t *testing.T) {
	draw := func(path string) safetensors.Tensors {
		return models.FreshHead(loadModel(t, path).Architecture, rng.New(1, "head"))
	}
	got, want := draw(micro("exports/distilbert-bare.onnx")), draw(micro("micro/distilbert"))
	if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
		t.Fatalf("drew %v, want %v", got.Names(), want.Names())
	}
	for _, n := range want.Names() {
		if !slices.Equal(got[n].Data, want[n].Data) {
			t.Errorf("%s differs", n)
		}
	}
}
