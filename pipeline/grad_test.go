package pipeline

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"metalora/models"
	"metalora/onnx"
	"metalora/onnx/autodiff"
)

// exported writes a model of a configuration as exporters do: weights inside, the logits as output.
func exported(tb testing.TB, cfg models.Config) (path string, size int64) {
	tb.Helper()
	m, err := cfg.Forward(models.Dropout{})
	if err != nil {
		tb.Fatal(err)
	}
	var inputs []onnx.ValueInfo
	for _, in := range m.Graph.Inputs {
		if !in.Type.IsFloat() || in.Shape[0].Size < 0 {
			inputs = append(inputs, in)
			continue
		}
		m.Graph.Initializers = append(m.Graph.Initializers, weight(in))
	}
	m.Graph.Inputs = inputs
	path = filepath.Join(tb.TempDir(), "model.onnx")
	if err := m.WriteFile(path); err != nil {
		tb.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	return path, info.Size()
}

// weight is a tensor of zeros for a parameter: no size, and no time, depends on what is in it.
func weight(in onnx.ValueInfo) *onnx.Tensor {
	t := &onnx.Tensor{Name: in.Name, Type: in.Type}
	n := int64(1)
	for _, d := range in.Shape {
		t.Dims = append(t.Dims, d.Size)
		n *= d.Size
	}
	t.Raw = make([]byte, n*int64(in.Type.Size()))
	return t
}

// allocated is how many bytes a function allocates in all, which is at least what it ever holds.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// Differentiating a file by all its weights takes less than 1.5 times its size in memory.
func TestGradientsMemory(t *testing.T) {
	cfg := models.DefaultConfig()
	cfg.NumHiddenLayers, cfg.VocabSize = 2, 5000
	path, size := exported(t, cfg)
	memory := allocated(func() {
		e, _, err := Gradients(path, path+".grad", autodiff.Wish{Wrt: []string{"*.weight", "*.bias"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Gradients) < 30 {
			t.Errorf("%d gradients", len(e.Gradients))
		}
	})
	if ratio := float64(memory) / float64(size); ratio > 1.5 {
		t.Errorf("%d bytes for a file of %d: %.2f times, want less than 1.5", memory, size, ratio)
	}
}

// BenchmarkGradients differentiates an export of roberta-base by all its weights: from file to file, with the wait for the
// disk, and the part of it that is not files.
func BenchmarkGradients(b *testing.B) {
	path, size := exported(b, models.DefaultConfig())
	wish := autodiff.Wish{Wrt: []string{"*.weight", "*.bias"}}
	b.Run("files", func(b *testing.B) {
		var memory int64
		for b.Loop() {
			memory = allocated(func() {
				if _, _, err := Gradients(path, path+".grad", wish); err != nil {
					b.Fatal(err)
				}
			})
		}
		b.ReportMetric(float64(size)/1e6, "MB/file")
		b.ReportMetric(float64(memory)/float64(size), "memory/file")
	})
	b.Run("graph", func(b *testing.B) {
		m, err := onnx.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := autodiff.Extend(m, wish); err != nil {
				b.Fatal(err)
			}
		}
	})
}
