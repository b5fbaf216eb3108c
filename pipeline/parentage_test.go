package pipeline

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metalora/adapters"
	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/onnx/ort"
	"metalora/pipeline/fault"
)

// TestParentage: whatever the form in which base and model are here, an adapter of this model is taken, one of another refused.
func TestParentage(t *testing.T) {
	base, _, _ := several(t)
	dir := t.TempDir()
	changed := func(name string, change func(name string, values []float32)) string {
		to := filepath.Join(dir, name)
		if err := os.CopyFS(to, os.DirFS(base)); err != nil {
			t.Fatal(err)
		}
		weights := filepath.Join(to, "model.safetensors")
		tensors, err := safetensors.Load(weights)
		if err != nil {
			t.Fatal(err)
		}
		for name, x := range tensors {
			change(name, x.Data)
		}
		if err := safetensors.Save(weights, tensors, nil); err != nil {
			t.Fatal(err)
		}
		return to
	}
	other := changed("other", func(name string, values []float32) {
		if strings.HasSuffix(name, "layer.1.output.LayerNorm.bias") {
			values[3] += 1e-4
		}
	})
	half := changed("half", func(_ string, values []float32) {
		for i, x := range values { // as the nearest bfloat16
			values[i] = math.Float32frombits((math.Float32bits(x) + 1<<15) &^ 0xffff)
		}
	})
	headOnly := changed("head", func(name string, values []float32) {
		if strings.HasPrefix(name, "classifier.") {
			values[0]++
		}
	})
	export := func(folder string) string {
		file := folder + ".onnx"
		if _, err := ExportONNX(t.Context(), ExportOptions{Model: folder, Opset: onnx.DefaultOpset, Out: file}); err != nil {
			t.Fatal(err)
		}
		return file
	}
	baseFile, otherFile := export(base), export(other)
	cachedOther := inHubCache(t, other)
	for _, c := range []struct {
		name, trained, model string
		code                 int
		note                 bool
	}{
		{"its own folder", base, base, 0, false},
		{"a folder with another head", headOnly, base, 0, false},
		{"a folder, and its export", base, baseFile, 0, false},
		{"an export, and its folder", baseFile, base, 0, false},
		{"kept in 16 bits", base, half, 0, false},
		{"another folder", other, base, fault.CodeInput, false},
		{"another folder's export", otherFile, base, fault.CodeInput, false},
		{"a folder, and another's export", base, otherFile, fault.CodeInput, false},
		{"one export, and another", baseFile, otherFile, fault.CodeInput, false},
		{"a name, and what it stands for", cachedOther, other, 0, false},
		{"a name that stands for another", cachedOther, base, fault.CodeInput, false},
		{"a name that is not here", "not/here", base, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			adapter := filepath.Join(t.TempDir(), "adapter")
			if err := drawAdapter(base, adapter, adapters.LoRA{Rank: 2, Alpha: 4}); err != nil {
				t.Fatal(err)
			}
			a, err := adapters.Load(adapter)
			if err != nil {
				t.Fatal(err)
			}
			a.Base = c.trained
			if err := a.Save(adapter); err != nil {
				t.Fatal(err)
			}
			s, err := OpenScorer(c.model, adapter, 1, ort.CPU)
			if fault.Code(err) != c.code || err != nil && !strings.Contains(err.Error(), "tune a new adapter") {
				t.Fatalf("scoring: code %d, want %d: %v", fault.Code(err), c.code, err)
			}
			if err == nil {
				s.Close()
				if noted := len(s.Notes) == 1 && strings.Contains(s.Notes[0], "model pull "+c.trained); noted != c.note || !noted && len(s.Notes) > 0 {
					t.Errorf("notes %q", s.Notes)
				}
			}
			if _, err := MergeAdapter(t.Context(), c.model, adapter, filepath.Join(t.TempDir(), "merged")); fault.Code(err) != c.code {
				t.Errorf("merging: code %d, want %d: %v", fault.Code(err), c.code, err)
			}
			if _, err := ExportONNX(t.Context(), ExportOptions{Model: c.model, Adapter: adapter, Opset: onnx.DefaultOpset,
				Out: filepath.Join(t.TempDir(), "x.onnx")}); fault.Code(err) != c.code {
				t.Errorf("exporting: code %d, want %d: %v", fault.Code(err), c.code, err)
			}
		})
	}
}

// inHubCache puts a model into a hub's cache of its own under a name, which it returns.
func inHubCache(t *testing.T, folder string) string {
	t.Helper()
	cache := t.TempDir()
	t.Setenv("HF_HUB_CACHE", cache)
	repo, commit := filepath.Join(cache, "models--some--base"), strings.Repeat("a", 40)
	if err := os.MkdirAll(filepath.Join(repo, "refs"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(repo, "refs", "main"), commit)
	if err := os.CopyFS(filepath.Join(repo, "snapshots", commit), os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	return "some/base"
}
