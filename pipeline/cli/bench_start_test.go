package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"metalora/pipeline/bench"
)

// TestBenchStart: memory beyond the fixed part is the file's, and hardly more; a program that fails is an error with its words.
func TestBenchStart(t *testing.T) {
	data := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(data); err != nil {
		t.Skip("needs the dialogues beside the project")
	}
	program := filepath.Join(t.TempDir(), "metalora")
	if out, err := exec.Command("go", "build", "-o", program, "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c, err := bench.MeasureStart(t.Context(), program, data, "minilm", 1)
	if err != nil {
		t.Fatal(err)
	}
	if c.FileMiB < 100 || c.Ready <= 0 || c.FirstTurn <= c.Ready || c.FixedMiB <= 0 || c.Ratio < 0.9 || c.Ratio > 1.25 {
		t.Errorf("%+v", c)
	}
	if _, err := bench.MeasureStart(t.Context(), program, t.TempDir(), "demo", 1); err == nil || !strings.Contains(err.Error(), "roberta-tokenizer") {
		t.Errorf("no data, and %v", err)
	}
}
