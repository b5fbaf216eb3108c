package cli

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// TestModelVerbs: a folder is exported, and the file inspected as a base that trains.
func TestModelVerbs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nano.onnx")
	var e struct{ Difference float64 }
	if err := json.Unmarshal([]byte(succeed(t, "model", "export", nano, "-o", file, "--opset", "14", "--json")), &e); err != nil || !(e.Difference < 1e-5) {
		t.Errorf("%+v (%v)", e, err)
	}
	var found inspection
	if err := json.Unmarshal([]byte(succeed(t, "model", "inspect", file, "--json")), &found); err != nil {
		t.Fatal(err)
	}
	if found.Kind != "onnx" || found.Architecture != "RobertaForSequenceClassification" || found.Parameters != 66754 || !found.Trainable ||
		len(found.Blockers) != 0 || len(found.Names) != len(found.Tensors) || len(found.Tensors) != 41 {
		t.Errorf("%+v", found)
	}
}
