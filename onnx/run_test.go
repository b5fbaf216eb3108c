package onnx_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
)

// symbols are the sizes that the symbols of the tests' graphs get.
var symbols = map[string]int64{"rows": 2, "n": 3, "length": 5, "m": 6, "a": 7, "b": 4, "batch": 2, "sequence": 5,
	"batch_size": 2, "sequence_length": 5, "h": 8, "w": 5, "k": 3, "t": 8}

// engine finds ONNX Runtime; without it the tables of expected shapes stand alone.
func engine(t *testing.T) {
	t.Helper()
	if _, err := ort.Library(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// TestShapesAgainstRuns runs every graph of the shape tables: types and shapes must be what was inferred.
func TestShapesAgainstRuns(t *testing.T) {
	engine(t)
	notRunnable := []string{
		"unknown rank",                  // turns out a scalar, which the binding can't allocate
		"Reshape of unknown rank",       // its input is fed as a scalar
		"two symbols",                   // 2 rows and 5 elements do not broadcast
		"ColumnSum of what has no rank", // it is a Loop's without a body
		"an unknown operator",           // unknown to the engine as well
		"an unknown operator that the file describes",
		"Reshape by one unknown size", // the size is an input, here 0
		"Reshape by an unknown shape", // likewise
		"Squeeze by attribute",        // of an older operator set
		"ReduceMean by attribute",     // likewise
	}
	for _, c := range onnx.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if fused(c.Model) && !kernels.Supported() {
				t.Skip("no kernels on this machine")
			}
			err := runs(t, c.Model)
			if known := slices.Contains(notRunnable, c.Name); (err != nil) != known {
				t.Errorf("error %v, want one: %v", err, known)
			}
		})
	}
}

// TestExportsAgainstRuns does the same with every value inside real exporters' models.
func TestExportsAgainstRuns(t *testing.T) {
	engine(t)
	paths, err := filepath.Glob("../../shared/reference/onnx-exports/*.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m, err := onnx.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := runs(t, m); err != nil {
				t.Error(err)
			}
		})
	}
}

// runs compares every value that the engine computes with what Infer says of it. Its error is the engine's.
func runs(t *testing.T, m *onnx.Model) error {
	t.Helper()
	info, err := onnx.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	m = showAll(m, info)
	fetches := map[string]*ort.Tensor{}
	for _, v := range m.Graph.Outputs {
		fetches[v.Name] = nil
	}
	s, err := ort.OpenModel(m, ort.Options{Threads: 1, Kernels: fused(m)})
	if err != nil {
		return err
	}
	defer s.Close()
	feeds := map[string]*ort.Tensor{}
	for _, v := range s.Inputs() {
		if feeds[v.Name], err = zeros(v); err != nil {
			return err
		}
		defer feeds[v.Name].Close()
	}
	if err := s.Run(feeds, fetches); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(fetches)) {
		agrees(t, info[name], fetches[name])
		fetches[name].Close()
	}
	return nil
}

// fused tells whether a model has operators of package kernels.
func fused(m *onnx.Model) bool {
	return slices.ContainsFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return n.Domain == kernels.Domain })
}

// opsTable finds an operator's row in ops_table.c, and whether it may write over its first input.
var opsTable = regexp.MustCompile(`(?m)^\t\{"(\w+)", .*?(\.in_place = true)?\},$`)

// TestKernelsAreKnown: every operator of package kernels has a row in the shape tables, and what is told of it for counting
// memory is what it says itself.
func TestKernelsAreKnown(t *testing.T) {
	text, err := os.ReadFile("kernels/ops_table.c")
	if err != nil {
		t.Fatal(err)
	}
	rows, named := opsTable.FindAllStringSubmatch(string(text), -1), map[string]bool{}
	if len(rows) < 8 {
		t.Fatalf("ops_table.c has the rows %q", rows)
	}
	for _, c := range onnx.Cases() {
		for _, n := range c.Model.Graph.Nodes {
			named[n.Op] = named[n.Op] || n.Domain == kernels.Domain
		}
	}
	for _, row := range rows {
		if !named[row[1]] {
			t.Errorf("%s has no row in the shape tables", row[1])
		}
		if onnx.FirstInPlace[row[1]] != (row[2] != "") {
			t.Errorf("%s: in place is %v, ops_table.c says %q", row[1], onnx.FirstInPlace[row[1]], row[2])
		}
	}
}

// showAll makes a copy of the model of which every value is an output, but for types that Go can't fetch.
func showAll(m *onnx.Model, info map[string]onnx.ValueInfo) *onnx.Model {
	m = m.Clone()
	m.Graph.Outputs = nil
	for _, n := range m.Graph.Nodes {
		for _, o := range n.Outputs {
			if t := info[o].Type; o != "" && t != onnx.Float16 && t != onnx.Uint8 {
				m.Graph.Outputs = append(m.Graph.Outputs, info[o])
			}
		}
	}
	if len(m.Graph.Inputs) == 0 { // which ort does not run
		m.Graph.Inputs = []onnx.ValueInfo{{Name: "unused", Type: onnx.Float, Shape: onnx.Dims(1)}}
	}
	return m
}

// zeros is a tensor for an input.
func zeros(v onnx.ValueInfo) (*ort.Tensor, error) {
	shape, n := []int{}, 1
	for _, d := range v.Shape {
		size, ok := onnx.Evaluate(d, symbols)
		if !ok {
			size = 3
		}
		shape = append(shape, int(size))
		n *= int(size)
	}
	switch v.Type {
	case onnx.Int64:
		return ort.NewTensor(shape, make([]int64, n))
	case onnx.Bool:
		return ort.NewTensor(shape, make([]bool, n))
	case onnx.Uint8:
		return ort.NewTensor(shape, make([]uint8, n))
	case onnx.Int8:
		return ort.NewTensor(shape, make([]int8, n))
	}
	return ort.NewTensor(shape, make([]float32, n))
}

// agrees compares what was inferred with what was computed.
func agrees(t *testing.T, v onnx.ValueInfo, got *ort.Tensor) {
	t.Helper()
	if v.Type != onnx.Undefined && v.Type != got.Type() {
		t.Errorf("%q is %v, inferred %v", v.Name, got.Type(), v.Type)
	}
	if v.Shape == nil {
		return
	}
	same := len(v.Shape) == len(got.Shape())
	for i := 0; same && i < len(v.Shape); i++ {
		size, known := onnx.Evaluate(v.Shape[i], symbols)
		same = !known || size == int64(got.Shape()[i])
	}
	if !same {
		t.Errorf("%q has shape %v, inferred %v", v.Name, got.Shape(), v.Shape)
	}
}

// TestRewrittenRuns: an exporter's model, read and written again, computes the same bits.
func TestRewrittenRuns(t *testing.T) {
	engine(t)
	paths, err := filepath.Glob("../../shared/reference/onnx-exports/*.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m, err := onnx.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			again := filepath.Join(t.TempDir(), "again.onnx")
			if err := m.WriteFile(again); err != nil {
				t.Fatal(err)
			}
			if before, after := firstOutput(t, path, m), firstOutput(t, again, m); !slices.Equal(before, after) {
				t.Errorf("%v before, %v after", before, after)
			}
		})
	}
}

// firstOutput opens a file with the engine alone and runs it on rows of small ids.
func firstOutput(t *testing.T, path string, m *onnx.Model) []float32 {
	t.Helper()
	s, err := ort.OpenFile(path, ort.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	feeds := map[string]*ort.Tensor{}
	weights := map[string]bool{}
	for _, w := range m.Graph.Initializers {
		weights[w.Name] = true
	}
	for _, v := range s.Inputs() {
		if weights[v.Name] {
			continue // it has a default
		}
		ids := make([]int64, 10)
		for i := range ids {
			ids[i] = 1
			if v.Name == "input_ids" {
				ids[i] = int64(7 * (i + 1))
			}
		}
		if feeds[v.Name], err = ort.NewTensor([]int{2, 5}, ids); err != nil {
			t.Fatal(err)
		}
		defer feeds[v.Name].Close()
	}
	fetches := map[string]*ort.Tensor{"logits": nil}
	if err := s.Run(feeds, fetches); err != nil {
		t.Fatal(err)
	}
	defer fetches["logits"].Close()
	return slices.Clone(ort.Data[float32](fetches["logits"]))
}
