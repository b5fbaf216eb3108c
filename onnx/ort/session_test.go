package ort

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/onnx"
)

// product is y = a b with a [rows inner], b [inner 2].
func product() *onnx.Model {
	b := onnx.NewBuilder(&onnx.Graph{Name: "product"})
	b.Input("a", onnx.Float, "rows", "inner")
	b.Input("b", onnx.Float, "inner", 2)
	b.Named("y", "MatMul", []string{"a", "b"})
	b.Output("y", onnx.Float, "rows", 2)
	return onnx.NewModel(b.Graph)
}

// identity is y = x of one element type, computed by an operator that every type has.
func identity(t onnx.DType, dims ...any) *onnx.Model {
	b := onnx.NewBuilder(&onnx.Graph{Name: "identity"})
	b.Input("x", t, dims...)
	b.Named("y", "Identity", []string{"x"})
	b.Output("y", t, dims...)
	return onnx.NewModel(b.Graph)
}

func session(t *testing.T, m *onnx.Model, o Options) *Session {
	t.Helper()
	s, err := OpenModel(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func tensor[T Element](t *testing.T, shape []int, data ...T) *Tensor {
	t.Helper()
	x, err := NewTensor(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func TestOpenErrors(t *testing.T) {
	noInput := onnx.NewBuilder(&onnx.Graph{Name: "constant"})
	noInput.Named("y", "Identity", []string{noInput.Ints(1, 2)})
	noInput.Output("y", onnx.Int64, 2)
	wrongOp := identity(onnx.Float, 2)
	wrongOp.Graph.Nodes[0].Op = "Nonsense"
	noBias := onnx.NewModel(&onnx.Graph{Name: "lethal"}) // the engine would end the process, not fail
	lethal := onnx.NewBuilder(noBias.Graph)
	lethal.Input("x", onnx.Float, 1, 2, 4)
	lethal.Input("W", onnx.Float, 4, 12)
	attention := &onnx.Node{Name: "self", Domain: "com.microsoft", Op: "Attention", Inputs: []string{"x", "W"}, Outputs: []string{"y"}}
	noBias.Graph.Nodes, noBias.Opsets["com.microsoft"] = []*onnx.Node{attention}, 1
	lethal.Output("y", onnx.Float, 1, 2, 4)
	norm := noBias.Clone()
	norm.Graph.Nodes = []*onnx.Node{{Name: "norm", Op: "LayerNormalization", Inputs: []string{"x", "W", "??"}, Outputs: []string{"y"}}}
	data, err := norm.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	emptyBias := bytes.Replace(data, []byte("\x0a\x02??"), []byte("\x0a\x00\x0a\x00"), 1) // an input of two letters is two without a name
	for _, c := range []struct {
		name string
		open func() (*Session, error)
		want string
	}{
		{"no bytes", func() (*Session, error) { return Open(nil, Options{}) }, "opening a model"},
		{"not a model", func() (*Session, error) { return Open([]byte("not a model"), Options{}) }, "opening a model"},
		{"no input", func() (*Session, error) { return OpenModel(onnx.NewModel(noInput.Graph), Options{}) }, "at least one input"},
		{"operator", func() (*Session, error) { return OpenModel(wrongOp, Options{}) }, "Nonsense"},
		{"output", func() (*Session, error) { return OpenModel(product(), Options{Outputs: []string{"z"}}) }, `no output "z"; it has y`},
		{"no bias", func() (*Session, error) { return OpenModel(noBias, Options{}) }, `node "self" (com.microsoft.Attention) has no bias`},
		{"empty bias", func() (*Session, error) { return Open(emptyBias, Options{}) }, `node "norm" (LayerNormalization) has an empty name`},
		{"no file", func() (*Session, error) { return OpenFile("no/such.onnx", Options{}) }, "no/such.onnx"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := c.open()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want %q", s, err, c.want)
			}
		})
	}
}

// TestOutputs opens a model for one of its outputs, and runs one of two without the other.
func TestOutputs(t *testing.T) {
	m := product()
	b := onnx.NewBuilder(m.Graph)
	b.Named("z", "Neg", []string{"y"})
	b.Output("z", onnx.Float, "rows", 2)
	feeds := map[string]*Tensor{"a": tensor[float32](t, []int{1, 1}, 2), "b": tensor[float32](t, []int{1, 2}, 3, 4)}
	for _, outputs := range [][]string{nil, {"z"}, {"z", "y"}} {
		s := session(t, m, Options{Threads: 1, Outputs: outputs})
		if outputs != nil {
			if diff := cmp.Diff(outputs, names(s.Outputs())); diff != "" {
				t.Error(diff)
			}
		}
		fetches := map[string]*Tensor{"z": nil}
		if err := s.Run(feeds, fetches); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]float32{-6, -8}, Data[float32](fetches["z"])); diff != "" {
			t.Error(diff)
		}
		if len(fetches) != 1 {
			t.Errorf("fetched %d outputs, want 1", len(fetches))
		}
	}
}

func TestOpenFileAndBytes(t *testing.T) {
	data, err := product().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "product.onnx")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	want := onnx.ValueInfo{Name: "b", Type: onnx.Float, Shape: onnx.Dims("inner", 2)}
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
			if diff := cmp.Diff(want, s.Inputs()[1]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestInputsWithInitializers has an older export that lists a weight as an input too: it need not be fed.
func TestInputsWithInitializers(t *testing.T) {
	m := product()
	w := onnx.Floats([]int64{2, 2}, 1, 2, 3, 4)
	w.Name = "b"
	m.Graph.Initializers = append(m.Graph.Initializers, w)
	s := session(t, m, Options{Threads: 1})
	fetches := map[string]*Tensor{"y": nil}
	if err := s.Run(map[string]*Tensor{"a": tensor[float32](t, []int{1, 2}, 1, 1)}, fetches); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float32{4, 6}, Data[float32](fetches["y"])); diff != "" {
		t.Error(diff)
	}
}

func TestClose(t *testing.T) {
	s, err := OpenModel(product(), Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Run(nil, nil); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("running a closed session: %v", err)
	}
}

func TestProfile(t *testing.T) {
	dir := t.TempDir()
	s := session(t, product(), Options{Threads: 1, ProfilePrefix: filepath.Join(dir, "profile")})
	feeds := map[string]*Tensor{"a": tensor[float32](t, []int{1, 1}, 2), "b": tensor[float32](t, []int{1, 2}, 3, 4)}
	if err := s.Run(feeds, map[string]*Tensor{"y": nil}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	files, _ := filepath.Glob(filepath.Join(dir, "profile*.json"))
	if len(files) != 1 {
		t.Fatalf("profiles written: %v, want one", files)
	}
	if data, _ := os.ReadFile(files[0]); !strings.Contains(string(data), "MatMul") {
		t.Error("the profile does not name the MatMul")
	}
}

// TestEmptyName: a model whose node has an empty name for an input that is absent runs, where the engine would crash over the name.
func TestEmptyName(t *testing.T) {
	b := onnx.NewBuilder(&onnx.Graph{Name: "norm"})
	b.Input("x", onnx.Float, 1, 2)
	b.Input("W", onnx.Float, 2)
	b.Graph.Nodes = append(b.Graph.Nodes, &onnx.Node{Op: "LayerNormalization", Inputs: []string{"x", "W", ""}, Outputs: []string{"y"}})
	b.Output("y", onnx.Float, 1, 2)
	feeds := map[string]*Tensor{"x": tensor[float32](t, []int{1, 2}, -3, 5), "W": tensor[float32](t, []int{2}, 2, 3)}
	fetches := map[string]*Tensor{"y": nil}
	if err := session(t, onnx.NewModel(b.Graph), Options{Threads: 1}).Run(feeds, fetches); err != nil {
		t.Fatal(err)
	}
	defer fetches["y"].Close()
	if y := Data[float32](fetches["y"]); !(math.Abs(float64(y[0]+2)) < 1e-3 && math.Abs(float64(y[1]-3)) < 1e-3) {
		t.Errorf("got %v, want -2 and 3", y)
	}
}
