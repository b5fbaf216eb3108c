package pipeline

import (
	"cmp"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"metalora/onnx"
	"metalora/onnx/autodiff"
	"metalora/onnx/ort"
	"metalora/onnx/ort/orttest"
	"metalora/pipeline/fault"
)

// mixer writes a model that is no text encoder: linear layers as MatMul and Add, as MatMul alone, and as Gemm either way round,
// over three dimensions whose names are those of an encoder's.
func mixer(t *testing.T) string {
	t.Helper()
	m := onnx.NewModel(&onnx.Graph{Name: "mixer"})
	b := onnx.NewBuilder(m.Graph)
	weight := func(name string, dims ...int64) string {
		size := int64(1)
		for _, d := range dims {
			size *= d
		}
		x := make([]float32, size)
		for i := range x {
			x[i] = float32(i*7%11-5) / 8
		}
		w := onnx.Floats(dims, x...)
		w.Name = name
		m.Graph.Initializers = append(m.Graph.Initializers, w)
		return name
	}
	b.Input("x", onnx.Float, "rows", "length", 4)
	h := b.Op("Add", []string{b.Op("MatMul", []string{"x", weight("onnx::MatMul_7", 4, 6)}), weight("mix.up.bias", 6)})
	h = b.Op("MatMul", []string{b.Op("Tanh", []string{h}), weight("W", 6, 4)})
	h = b.Op("ReduceMean", []string{h, b.Ints(1)}, onnx.IntAttr("keepdims", 0))
	h = b.Op("Gemm", []string{h, weight("a.weight", 5, 4), weight("a.bias", 5)}, onnx.IntAttr("transB", 1))
	b.Named("y", "Gemm", []string{b.Op("Relu", []string{h}), weight("b.weight", 5, 3), weight("b.bias", 3)})
	b.Output("y", onnx.Float, "rows", 3)
	file := filepath.Join(t.TempDir(), "mixer.onnx")
	if err := m.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// evaluate runs a file on one x and what else is fed.
func evaluate(t *testing.T, file string, fetch []string, more map[string]*ort.Tensor) map[string][]float32 {
	t.Helper()
	m, err := onnx.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m.Graph.Initializers = slices.DeleteFunc(m.Graph.Initializers, func(w *onnx.Tensor) bool { return more[w.Name] != nil })
	s, err := ort.OpenModel(m, ort.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := make([]float32, 2*3*4)
	for i := range x {
		x[i] = float32(i%5) - 2
	}
	feeds := map[string]*ort.Tensor{"x": orttest.Tensor(t, []int{2, 3, 4}, x)}
	for name, v := range more {
		feeds[name] = v
	}
	fetches := map[string]*ort.Tensor{}
	for _, f := range fetch {
		fetches[f] = nil
	}
	if err := s.Run(feeds, fetches); err != nil {
		t.Fatal(err)
	}
	got := map[string][]float32{}
	for name, v := range fetches {
		got[name] = slices.Clone(ort.Data[float32](v))
		v.Close()
	}
	return got
}

// TestGraft: LoRA goes on all four kinds of linear layer, changes nothing at its start, moves the output once B is fed, and its
// gradients are what finite differences say.
func TestGraft(t *testing.T) {
	file, dir := mixer(t), t.TempDir()
	grafted, graded := filepath.Join(dir, "lora.onnx"), filepath.Join(dir, "grad.onnx")
	sites, err := Graft(GraftOptions{From: file, To: grafted, Targets: []string{"mix.*", "?", "W"}, Rank: 2, Alpha: 4, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range sites {
		names = append(names, s.Linear)
	}
	if want := []string{"mix.up", "W", "a", "b"}; !slices.Equal(names, want) {
		t.Fatalf("LoRA on %v, want %v", names, want)
	}
	before, after := evaluate(t, file, []string{"y"}, nil)["y"], evaluate(t, grafted, []string{"y"}, nil)["y"]
	for i := range before {
		if d := math.Abs(float64(before[i] - after[i])); d > 1e-5 {
			t.Errorf("output %d moved by %v", i, d)
		}
	}
	if _, _, err := Gradients(grafted, graded, autodiff.Wish{Wrt: []string{"*.lora_?.weight"}}); err != nil {
		t.Fatal(err)
	}
	ones := orttest.Tensor(t, []int{2, 3}, []float32{1, 1, 1, 1, 1, 1})
	gradient := evaluate(t, graded, []string{"grad::W.lora_B.weight"}, map[string]*ort.Tensor{"cotangent::y": ones})["grad::W.lora_B.weight"]
	const h = 1e-2
	for i := range gradient {
		sum := func(step float32) (total float64) {
			b := make([]float32, len(gradient))
			b[i] = step
			for _, y := range evaluate(t, grafted, []string{"y"}, map[string]*ort.Tensor{"W.lora_B.weight": orttest.Tensor(t, []int{4, 2}, b)})["y"] {
				total += float64(y)
			}
			return total
		}
		if want := (sum(h) - sum(-h)) / (2 * h); !(math.Abs(want-float64(gradient[i])) <= 1e-3*(1+math.Abs(want))) {
			t.Errorf("gradient %d is %v, differences say %v", i, gradient[i], want)
		}
	}
}

func TestGraftRefuses(t *testing.T) {
	file, dir := mixer(t), t.TempDir()
	bare := filepath.Join(dir, "bare.onnx")
	b := onnx.NewBuilder(&onnx.Graph{Name: "bare"})
	b.Named("y", "Relu", []string{b.Input("x", onnx.Float, "rows", 3)})
	b.Output("y", onnx.Float, "rows", 3)
	if err := onnx.NewModel(b.Graph).WriteFile(bare); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    GraftOptions
		want string
	}{
		"no layers":     {GraftOptions{From: bare, Targets: []string{"*"}, Rank: 2, Alpha: 1}, "bare.onnx: it has no linear layer"},
		"no such layer": {GraftOptions{Targets: []string{"a", "q*"}, Rank: 2, Alpha: 1}, `"q*" matches none of its 4 linear layers: mix.up, W, a, b`},
		"no rank":       {GraftOptions{Targets: []string{"a"}, Alpha: 1}, "rank 0"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.From, c.o.To = cmp.Or(c.o.From, file), filepath.Join(dir, "out.onnx")
			if _, err := Graft(c.o); fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want one that says %q", err, c.want)
			}
		})
	}
}
