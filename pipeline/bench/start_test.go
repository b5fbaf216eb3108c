package bench

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMeasureStart: memory beyond the fixed part is the file's, and hardly more; a program that fails is an error with its words.
func TestMeasureStart(t *testing.T) {
	data := dialogues(t)
	program := filepath.Join(t.TempDir(), "metalora")
	if out, err := exec.Command("go", "build", "-o", program, "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c, err := MeasureStart(t.Context(), program, data, "minilm", 1)
	if err != nil {
		t.Fatal(err)
	}
	if c.FileMiB < 100 || c.Ready <= 0 || c.FirstTurn <= c.Ready || c.FixedMiB <= 0 || c.Ratio < 0.9 || c.Ratio > 1.25 {
		t.Errorf("%+v", c)
	}
	if _, err := MeasureStart(t.Context(), program, t.TempDir(), "demo", 1); err == nil || !strings.Contains(err.Error(), "roberta-tokenizer") {
		t.Errorf("no data, and %v", err)
	}
}
