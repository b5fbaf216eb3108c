package exported_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"metalora/models"
	"metalora/models/exported"
	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/onnx/onnxtest"
)

var damages = flag.Int("damages", 60, "damaged graphs of each export that TestOpenDamaged opens")

// TestOpenDamaged opens exports in which a few inputs, attributes, weights or nodes are not what exporters write: whatever they are,
// nothing panics.
func TestOpenDamaged(t *testing.T) {
	whole := map[string]*onnx.Model{"small": small(t)}
	files, err := filepath.Glob(filepath.Join(reference, "*.onnx"))
	if err != nil || len(files) == 0 && os.Getenv("CI") == "true" {
		t.Fatalf("the reference exports are not here: %v", err)
	}
	for _, file := range files {
		m, err := onnx.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		whole[filepath.Base(file)] = m
	}
	opened := 0
	for name, m := range whole {
		for seed := range *damages {
			if openDamaged(t, fmt.Sprintf("%s, %d", name, seed), m, rand.New(rand.NewPCG(uint64(seed), 1))) {
				opened++
			}
		}
	}
	if all := len(whole) * *damages; opened == 0 || opened == all {
		t.Errorf("%d of %d damaged graphs were opened: too many or too few for a test of both ways", opened, all)
	}
}

// openDamaged damages an export, does with it what programs do with one, and tells whether it could be opened.
func openDamaged(t *testing.T, name string, m *onnx.Model, r *rand.Rand) bool {
	t.Helper()
	m, done := onnxtest.Damaged(r, m)
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: %s\n%v\n%s", name, done, p, debug.Stack())
		}
	}()
	kernels.Lower(m)
	exported.Linearise(m)
	x, err := exported.Open(m)
	if err != nil {
		return false
	}
	x.Limits()
	if _, err := x.Head(); err != nil {
		t.Errorf("%s: %s\nopened, but without a head: %v", name, done, err)
	}
	x.Dropout(exported.Rates{Hidden: 0.1, Attention: 0.1, Head: 0.1})
	if _, err := models.Fill(x.Graph, x.Tensors(), safetensors.Tensors{}); err != nil {
		t.Errorf("%s: %s\nopened, but it cannot be written: %v", name, done, err)
	}
	kernels.Pack(kernels.Lower(x.Graph))
	return true
}
