package ort

import (
	"os"
	"path/filepath"
	"testing"

	"metalora/onnx"

	"github.com/google/go-cmp/cmp"
)

// stringTensor is a graph's part of an ONNX file that package onnx refuses and the engine takes: ModelProto.graph (7) with
// an initializer (5) of dims (1) [1], data_type (2) string, string_data (6) "x" and name (8) "s". Appended to a file it
// adds to the graph there.
const stringTensor = "\x3a\x0c\x2a\x0a\x08\x01\x10\x08\x32\x01x\x42\x01s"

// TestModelsThatOnlyTheEngineReads has the engine describe a model.
func TestModelsThatOnlyTheEngineReads(t *testing.T) {
	data, err := product().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, stringTensor...)
	if _, err := onnx.Unmarshal(data); err == nil {
		t.Fatal("package onnx reads the model: this test needs another one")
	}
	path := filepath.Join(t.TempDir(), "strings.onnx")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	want := []onnx.ValueInfo{
		{Name: "a", Type: onnx.Float, Shape: onnx.Dims(-1, -1)},
		{Name: "b", Type: onnx.Float, Shape: onnx.Dims(-1, 2)},
	}
	for name, open := range map[string]func() (*Session, error){
		"bytes": func() (*Session, error) { return Open(data, Options{Threads: 1}) },
		"file":  func() (*Session, error) { return OpenFile(path, Options{Threads: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := open()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if diff := cmp.Diff(want, s.Inputs()); diff != "" {
				t.Error(diff)
			}
			feeds := map[string]*Tensor{"a": tensor[float32](t, []int{1, 1}, 2), "b": tensor[float32](t, []int{1, 2}, 3, 4)}
			fetches := map[string]*Tensor{"y": nil}
			if err := s.Run(feeds, fetches); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]float32{6, 8}, Data[float32](fetches["y"])); diff != "" {
				t.Error(diff)
			}
		})
	}
}
