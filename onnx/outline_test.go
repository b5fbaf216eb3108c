package onnx

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOutline: what is a model is none the less one for being looked at before.
func TestOutline(t *testing.T) {
	for _, c := range Cases() {
		data, err := c.Model.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := checkOutline(bytes.NewReader(data), int64(len(data))); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// FuzzReadFile: a file gives the model that its bytes give, or an error, wherever its data is said to lie; only files in its
// folder are read.
func FuzzReadFile(f *testing.F) {
	for _, pattern := range []string{"testdata/external.onnx", "testdata/hostile/*.onnx"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	for _, c := range Cases() {
		data, err := c.Model.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	base := f.TempDir()
	if err := os.WriteFile(filepath.Join(base, "secret"), bytes.Repeat([]byte("secret!!"), 64), 0o600); err != nil {
		f.Fatal(err)
	}
	dir := filepath.Join(base, "model")
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "m.onnx")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		fromFile, err := ReadFile(path)
		fromBytes, other := Unmarshal(data)
		if other == nil && err != nil && !strings.Contains(err.Error(), "decoding protobuf") { // messages in parts, groups
			t.Fatalf("the bytes are a model, the file is none: %v", err)
		}
		if err != nil || other != nil {
			leaks(t, fromFile)
			return
		}
		a, errA := fromFile.Marshal()
		b, errB := fromBytes.Marshal()
		if (errA == nil) != (errB == nil) || !bytes.Equal(a, b) {
			t.Error("the file gives another model than its bytes")
		}
	})
}

// leaks fails where a tensor holds what lies outside the folder.
func leaks(t *testing.T, m *Model) {
	if m == nil {
		return
	}
	for _, w := range m.Graph.Initializers {
		if bytes.Contains(w.Raw, []byte("secret!!")) {
			t.Errorf("%s holds what lies outside the folder", w.Name)
		}
	}
}
