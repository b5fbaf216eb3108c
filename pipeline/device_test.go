package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/pipeline/fault"
)

// TestDeviceMissing: with the library that is fetched CUDA cannot be had, and no way to it goes on without.
func TestDeviceMissing(t *testing.T) {
	if path, err := ort.Library(); err != nil {
		t.Fatal(err)
	} else if _, err := os.Stat(filepath.Join(filepath.Dir(path), "libonnxruntime_providers_cuda.so")); err == nil {
		t.Skip("this library is a GPU build: ONNX Runtime's own tests say whether it works")
	}
	c, err := Parse("every.yaml", []byte(every), []string{"device=cuda"})
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"run": func() error { _, err := NewExecutor(c); return err },
		"tune": func() error {
			_, err := Tune(t.Context(), TuneOptions{Model: "none", Data: "none", Sets: []string{"device=cuda"}}, Quiet{})
			return err
		},
		"logits":   func() error { _, err := OpenScorer("", "", 0, ort.CUDA); return err },
		"predict":  func() error { _, err := OpenPredictor(PredictOptions{Device: ort.CUDA}); return err },
		"evaluate": func() error { _, err := newEvaluation(EvaluateOptions{Device: ort.CUDA}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			err := try()
			if fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), "device cuda: ") || !strings.Contains(err.Error(), "METALORA_ORT") {
				t.Errorf("got %v (code %d), want what is missing and the next step", err, fault.Code(err))
			}
		})
	}
	if _, err := OpenScorer("", "", 0, "cudda"); fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), `did you mean "cuda"`) {
		t.Errorf("an unknown device: %v", err)
	}
}

// TestDeviceElsewhere: a checkpoint of another device is of another environment; one that names none is of the CPU.
func TestDeviceElsewhere(t *testing.T) {
	_, ex := everyRun(t)
	if d := ex.Describe(); d["device"] != ort.CPU || d["onnxruntime"] != ort.Version() {
		t.Errorf("the provenance gets %v", d)
	}
	cpu, cuda, old := environment{deviceKey: "cpu"}, environment{deviceKey: "cuda"}, environment{}
	for _, c := range []struct {
		there, here environment
		want        string
	}{
		{cpu, cpu, ""}, {cuda, cuda, ""}, {old, cpu, ""},
		{cpu, cuda, `device was "cpu" and is "cuda"`}, {cuda, cpu, `device was "cuda" and is "cpu"`}, {old, cuda, `device was "cpu" and is "cuda"`},
		{old, environment{kernelsKey: kernels.None}, ""}, {old, environment{kernelsKey: "ours"}, `kernels was "none" and is "ours"`},
	} {
		if got := c.there.differences(c.here); got != c.want {
			t.Errorf("from %v to %v: %q, want %q", c.there, c.here, got, c.want)
		}
	}
}
