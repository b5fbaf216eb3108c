package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"metalora/pipeline/bench"
)

// TestBenchGrad: the program's cost is measured from file to file, and a program that fails is an error with its words.
func TestBenchGrad(t *testing.T) {
	program := filepath.Join(t.TempDir(), "metalora")
	if out, err := exec.Command("go", "build", "-o", program, "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c, err := bench.MeasureGrad(t.Context(), program, "demo", 1)
	if err != nil {
		t.Fatal(err)
	}
	if c.FileMiB < 5 || c.Seconds <= 0 || c.CPU <= 0 || c.PeakMiB < c.FileMiB || c.Ratio <= 1 {
		t.Errorf("%+v", c)
	}
	if _, err := bench.MeasureGrad(t.Context(), os.DevNull, "demo", 1); err == nil {
		t.Error("no program, and no error")
	}
}
