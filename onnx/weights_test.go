package onnx

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"metalora/onnx/onnxpb"
)

// weighty is a model with tensors of several sizes, an empty and a small one among them.
func weighty(elements int) *Model {
	m := exportedShape()
	for i, n := range []int{elements, 0, 3, elements / 2} {
		t := Floats([]int64{int64(n)}, make([]float32, n)...)
		t.Name = string(rune('a' + i))
		for j := range t.Raw {
			t.Raw[j] = byte(i + j)
		}
		m.Graph.Initializers = append(m.Graph.Initializers, t)
	}
	return m
}

func exportedShape() *Model {
	m := NewModel(&Graph{Name: "weighty"})
	b := NewBuilder(m.Graph)
	b.Input("x", Float, 3)
	b.Named("y", "Mul", []string{"x", "c"})
	b.Output("y", Float, 3)
	return m
}

// The file in pieces says what protobuf's own encoding of the same message says.
func TestPieces(t *testing.T) {
	m := weighty(2000)
	p, err := writeModel(m)
	if err != nil {
		t.Fatal(err)
	}
	want := proto.Clone(p)
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Error(d)
	}
}

// Weights are found again in a message that says the graph in two parts, as protobuf allows.
func TestCutWeightsOfPartedGraph(t *testing.T) {
	one, two := weighty(100), weighty(200)
	two.Graph = &Graph{Initializers: []*Tensor{two.Graph.Initializers[0]}}
	two.Graph.Initializers[0].Name = "late"
	first, err := one.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	second, err := two.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Unmarshal(append(first, second...))
	if err != nil {
		t.Fatal(err)
	}
	want := append(one.Graph.Initializers, two.Graph.Initializers...)
	if d := cmp.Diff(want, m.Graph.Initializers, sameBytes); d != "" {
		t.Error(d)
	}
}

// A file that would be too large has its weights beside it, and is the same model when read again.
func TestWriteFileApart(t *testing.T) {
	m := weighty(3000)
	dir := t.TempDir()
	path := filepath.Join(dir, "large.onnx")
	if err := m.writeFile(path, 4000); err != nil {
		t.Fatal(err)
	}
	for name, most := range map[string]int64{"large.onnx": 4000, "large.onnx.data": 12288 + 6000} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() > most {
			t.Errorf("%s: %v (%v), want at most %d bytes", name, info, err, most)
		}
	}
	again, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, again, sameBytes); d != "" {
		t.Error(d)
	}
	if err := m.writeFile(path, 4000); err != nil {
		t.Errorf("written over its own files: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("the folder holds %v (%v)", left, err)
	}
}

func TestWriteFileApartRefuses(t *testing.T) {
	m := weighty(3000)
	path := filepath.Join(t.TempDir(), "large.onnx")
	if err := m.writeFile(path, 10); err == nil || !strings.Contains(err.Error(), "without its weights") {
		t.Errorf("error %v", err)
	}
	write(t, path+DataSuffix, "another's")
	if err := m.writeFile(path, 4000); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("error %v", err)
	}
	data, err := os.ReadFile(path + DataSuffix)
	if err != nil || !bytes.Equal(data, []byte("another's")) {
		t.Errorf("the other's file holds %q (%v)", data, err)
	}
}

// Reading and writing a file allocates little more than the file once: the weights are not copied.
func TestMemoryOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.onnx")
	m := weighty(2 << 20)
	if err := m.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	size := m.bytesOfWeights()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	again, err := ReadFile(path)
	if err == nil {
		err = again.WriteFile(path)
	}
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if ratio := float64(after.TotalAlloc-before.TotalAlloc) / float64(size); ratio > 1.2 {
		t.Errorf("reading and writing allocates %.2f times the file", ratio)
	}
}

func (m *Model) bytesOfWeights() (n int) {
	for _, t := range m.Graph.Initializers {
		n += len(t.Raw)
	}
	return n
}
