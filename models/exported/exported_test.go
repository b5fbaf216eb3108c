package exported_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/models/exported"
	"metalora/models/safetensors"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
)

const reference = "../../../shared/reference/onnx-exports"

// export is what the reference says of one file.
type export struct {
	Model   string            `json:"model"`
	Renamed map[string]string `json:"weights_renamed"` // by the file's name: Hugging Face's, with ^T where transposed
}

// exports reads the reference's list. Without ../shared there is nothing to test here, but in CI it has to be there.
func exports(t *testing.T) map[string]export {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(reference, "index.json"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("the reference exports are not here: ", err)
	}
	var index map[string]export
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	return index
}

// each runs a test on every export that is not quantised.
func each(t *testing.T, f func(t *testing.T, name string, e export, m *exported.Model)) {
	for name, e := range exports(t) {
		if name == "int8" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m, err := exported.Read(filepath.Join(reference, name+".onnx"))
			if err != nil {
				t.Fatal(err)
			}
			f(t, name, e, m)
		})
	}
}

// original loads the weights that were exported.
func original(t *testing.T, model string) safetensors.Tensors {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(reference, "..", model, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensors, err := f.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	return tensors
}

// TestWeights: every export gives back the tensors that were exported, under their names and in their layout.
func TestWeights(t *testing.T) {
	each(t, func(t *testing.T, name string, e export, m *exported.Model) {
		want := original(t, e.Model)
		if diff := cmp.Diff(want.Names(), m.Weights.Names()); diff != "" {
			t.Fatalf("names (-exported +recovered):\n%s", diff)
		}
		within := 0.0
		if name == "float16" {
			within = 1e-3 // of 1, what is left of a number in 11 bits
		}
		for _, n := range want.Names() {
			if diff := cmp.Diff(want[n].Shape, m.Weights[n].Shape); diff != "" {
				t.Fatalf("%s: shape (-exported +recovered):\n%s", n, diff)
			}
			for i, x := range want[n].Data {
				if d := math.Abs(float64(x - m.Weights[n].Data[i])); !(d <= within*math.Max(1, math.Abs(float64(x)))) {
					t.Fatalf("%s: element %d is %v, exported was %v", n, i, m.Weights[n].Data[i], x)
				}
			}
		}
	})
}

// TestNames: the mapping is the one that was found by comparing the weights.
func TestNames(t *testing.T) {
	each(t, func(t *testing.T, name string, e export, m *exported.Model) {
		got := map[string]string{}
		for _, n := range m.Names {
			to := n.Name
			if n.Transposed {
				to += "^T"
			}
			if n.File != n.Name && !strings.Contains(n.File, "_qkv_") {
				got[n.File] = to
			}
			if n.Guess {
				t.Errorf("%s is a guess, though the bias tells", n.Name)
			}
		}
		if name == "float16" {
			return // whose own list of renamed weights was made by comparing bits
		}
		if diff := cmp.Diff(e.Renamed, got); diff != "" {
			t.Errorf("renamed (-reference +recovered):\n%s", diff)
		}
	})
}

// TestLogits: the graph in the form that trains gives the logits that the engine gave for the file itself.
func TestLogits(t *testing.T) {
	each(t, func(t *testing.T, name string, e export, m *exported.Model) {
		expected := golden(t)
		defer expected.Close()
		within := 1e-5
		if name == "float16" {
			within = 0.01
		}
		s, err := ort.OpenModel(m.Graph, ort.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, batch := range []string{"a", "b", "c"} {
			want, err := expected.Float32(name + "." + batch + ".logits")
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, s, m.Weights, func(name string) *ort.Tensor {
				shape, values := ids(t, expected, e.Model+"."+batch+"."+name)
				return orttest.Tensor(t, shape, values)
			})
			for i := range want {
				if d := math.Abs(float64(got[i] - want[i])); !(d <= within) {
					t.Errorf("batch %s: logit %d is %v, the file's %v", batch, i, got[i], want[i])
				}
			}
		}
	})
}

func golden(t *testing.T) *safetensors.File {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(reference, "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// run feeds a session weights and, where it reads anything else, what other gives. It fetches the logits.
func run(t *testing.T, s *ort.Session, weights safetensors.Tensors, other func(name string) *ort.Tensor) []float32 {
	t.Helper()
	feeds := map[string]*ort.Tensor{}
	for _, in := range s.Inputs() {
		if w, ok := weights[in.Name]; ok {
			feeds[in.Name] = orttest.Tensor(t, w.Shape, w.Data)
		} else {
			feeds[in.Name] = other(in.Name)
		}
	}
	fetches := map[string]*ort.Tensor{"logits": nil}
	if err := s.Run(feeds, fetches); err != nil {
		t.Fatal(err)
	}
	defer fetches["logits"].Close()
	return slices.Clone(ort.Data[float32](fetches["logits"]))
}

// ids is a tensor of integers and its shape.
func ids(t *testing.T, f *safetensors.File, name string) ([]int, []int64) {
	t.Helper()
	data, err := f.Int64(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range f.Infos() {
		if info.Name == name {
			return info.Shape, data
		}
	}
	return nil, nil
}

// TestForm: whatever the exporter, what trains is 14 linear layers, five norms and two Gelus.
func TestForm(t *testing.T) {
	each(t, func(t *testing.T, name string, e export, m *exported.Model) {
		got := map[string]int{}
		for _, n := range m.Graph.Graph.Nodes {
			switch {
			case n.Domain != "":
				t.Errorf("%v is left", n)
			case slices.Contains([]string{"Gemm", "LayerNormalization", "Gelu", "Softmax", "MatMul", "Erf", "ReduceMean", "IsNaN"}, n.Op):
				got[n.Op]++
			}
		}
		want := map[string]int{"Gemm": 14, "LayerNormalization": 5, "Gelu": 2, "Softmax": 2, "MatMul": 4}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("operators (-want +got):\n%s", diff)
		}
	})
}
