package onnx_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/onnx"
	"metalora/onnx/ort"
)

// olderForms are graphs of [2, 3, 4] in the forms that operators had before set 13, and the operators that they become.
var olderForms = []struct {
	name  string
	build func(b *onnx.Builder, x string) string
	want  []string
}{
	{"Softmax along the last axis", along("Softmax", 2), []string{"Softmax"}},
	{"Softmax of two dimensions", along("Softmax", 1), []string{"Flatten", "Softmax", "Shape", "Reshape"}},
	{"LogSoftmax of all", along("LogSoftmax", 0), []string{"Flatten", "LogSoftmax", "Shape", "Reshape"}},
	{"Hardmax from the end", along("Hardmax", -2), []string{"Flatten", "Hardmax", "Shape", "Reshape"}},
	{"Softmax by default", func(b *onnx.Builder, x string) string { return b.Op("Softmax", []string{x}) }, []string{"Flatten", "Softmax", "Shape", "Reshape"}},
	{"ReduceSum", listed("ReduceSum", "axes", 0, -1), []string{"ReduceSum"}},
	{"ReduceSum of all", func(b *onnx.Builder, x string) string { return b.Op("ReduceSum", []string{x}) }, []string{"ReduceSum"}},
	{"Unsqueeze", listed("Unsqueeze", "axes", 0, -1), []string{"Unsqueeze"}},
	{"Squeeze", func(b *onnx.Builder, x string) string {
		return listed("Squeeze", "axes", 1)(b, listed("Unsqueeze", "axes", 1)(b, x))
	}, []string{"Unsqueeze", "Squeeze"}},
	{"Split", func(b *onnx.Builder, x string) string {
		return b.Node("", "Split", []string{x}, 2, onnx.IntAttr("axis", 2), onnx.IntsAttr("split", 3, 1))[0]
	}, []string{"Split"}},
	{"Dropout", func(b *onnx.Builder, x string) string {
		return b.Op("Dropout", []string{x}, onnx.FloatAttr("ratio", 0.5))
	}, []string{"Dropout"}},
	{"ReduceMean, which did not change", listed("ReduceMean", "axes", 1), []string{"ReduceMean"}},
}

func along(op string, axis int64) func(*onnx.Builder, string) string {
	return func(b *onnx.Builder, x string) string { return b.Op(op, []string{x}, onnx.IntAttr("axis", axis)) }
}

func listed(op, attr string, list ...int64) func(*onnx.Builder, string) string {
	return func(b *onnx.Builder, x string) string { return b.Op(op, []string{x}, onnx.IntsAttr(attr, list...)) }
}

// A lifted model computes the same bits under the same names, and the model itself stays as it was.
func TestLift13(t *testing.T) {
	engine(t)
	for _, c := range olderForms {
		t.Run(c.name, func(t *testing.T) {
			m := onnx.NewModel(&onnx.Graph{Name: "test"})
			m.Opsets[""] = 11
			b := onnx.NewBuilder(m.Graph)
			y := c.build(b, b.Input("x", onnx.Float, 2, 3, 4))
			m.Graph.Outputs = []onnx.ValueInfo{{Name: y, Type: onnx.Float}}
			before := m.Clone()
			lifted, err := onnx.Lift13(m)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(before, m); d != "" || lifted.Opsets[""] != 13 {
				t.Errorf("the model changed, or the copy is of opset %d: %s", lifted.Opsets[""], d)
			}
			var ops []string
			for _, n := range lifted.Graph.Nodes {
				ops = append(ops, n.Op)
			}
			if d := cmp.Diff(c.want, ops); d != "" {
				t.Errorf("operators: %s", d)
			}
			if a, b := output(t, m), output(t, lifted); !slices.Equal(a, b) {
				t.Errorf("the lifted model gives %v, want %v", b, a)
			}
		})
	}
}

// output runs a model of one input x of shape [2, 3, 4].
func output(t *testing.T, m *onnx.Model) []float32 {
	t.Helper()
	s, err := ort.OpenModel(m, ort.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data := make([]float32, 24)
	for i := range data {
		data[i] = float32(i*7%24) / 4
	}
	x, err := ort.NewTensor([]int{2, 3, 4}, data)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	y := map[string]*ort.Tensor{m.Graph.Outputs[0].Name: nil}
	if err := s.Run(map[string]*ort.Tensor{"x": x}, y); err != nil {
		t.Fatal(err)
	}
	defer y[m.Graph.Outputs[0].Name].Close()
	return slices.Clone(ort.Data[float32](y[m.Graph.Outputs[0].Name]))
}
