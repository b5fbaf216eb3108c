package autodiff

import (
	"math/rand/v2"
	"slices"
	"testing"

	"metalora/onnx"
)

// crowded are graphs large enough for the engine to share among threads, in which many elements meet in one place. at are
// 900 indices into the 20 rows of x.
var crowded = []struct {
	name  string
	build func(b *onnx.Builder, x, u, at string) string
}{
	{"Gather", func(b *onnx.Builder, x, u, at string) string {
		return b.Op("Mul", []string{b.Op("Gather", []string{x, at}), u})
	}},
	{"GatherND", func(b *onnx.Builder, x, u, at string) string {
		return b.Op("Mul", []string{b.Op("GatherND", []string{x, b.Op("Unsqueeze", []string{at, b.Ints(1)})}), u})
	}},
	{"GatherElements", func(b *onnx.Builder, x, u, at string) string {
		wide := b.Op("Expand", []string{b.Op("Unsqueeze", []string{at, b.Ints(1)}), b.Op("Shape", []string{u})})
		return b.Op("Mul", []string{b.Op("GatherElements", []string{x, wide}, onnx.IntAttr("axis", 0)), u})
	}},
	{"ScatterND add", scatterCrowd("add")}, {"ScatterND mul", scatterCrowd("mul")}, {"ScatterND max", scatterCrowd("max")},
	{"Pad reflect", func(b *onnx.Builder, x, u, at string) string {
		return b.Op("Mul", []string{b.Op("Pad", []string{u, b.Ints(899, 0, 899, 0)}, onnx.StringAttr("mode", "reflect")), b.Op("ReduceMean", []string{x})})
	}},
	{"broadcasts", func(b *onnx.Builder, x, u, at string) string {
		return b.Op("Mul", []string{u, b.Op("ReduceProd", []string{x, b.Ints(0)})})
	}},
}

func scatterCrowd(reduction string) func(b *onnx.Builder, x, u, at string) string {
	return func(b *onnx.Builder, x, u, at string) string {
		y := b.Op("ScatterND", []string{x, b.Op("Unsqueeze", []string{at, b.Ints(1)}), u}, onnx.StringAttr("reduction", reduction))
		return b.Op("Tanh", []string{y})
	}
}

// Values and gradients are the same bits on one thread and on several, often: no rule leans on a kernel that loses data.
func TestThreadsLoseNothing(t *testing.T) {
	const rows, width, many = 20, 256, 900
	r := rand.New(rand.NewPCG(5, 5))
	feeds := map[string]array{"x": {dims(rows, width), nil, onnx.Float}, "u": {dims(many, width), nil, onnx.Float}, "at": {dims(many), nil, onnx.Int64}}
	for name, a := range feeds {
		for range elements(a.shape) {
			v := 1 + 0.1*r.NormFloat64()
			if a.dtype == onnx.Int64 {
				v = float64(r.IntN(rows))
			}
			a.data = append(a.data, v)
		}
		feeds[name] = a
	}
	for _, c := range crowded {
		t.Run(c.name, func(t *testing.T) {
			m := onnx.NewModel(&onnx.Graph{Name: "test"})
			b := onnx.NewBuilder(m.Graph)
			x, u, at := b.Input("x", onnx.Float, "rows", width), b.Input("u", onnx.Float, "many", width), b.Input("at", onnx.Int64, "many")
			y := c.build(b, x, u, at)
			m.Graph.Outputs = []onnx.ValueInfo{{Name: y, Type: onnx.Float}}
			d, _, err := Differentiate(m, Request{Of: y, Wrt: []string{"x", "u"}})
			if err != nil {
				t.Fatal(err)
			}
			shapes := map[string][]int{y: nil, "grad::x": nil, "grad::u": nil}
			want := openOn(t, d, 1).run(t, feeds, shapes)
			several := openOn(t, d, 3)
			for range 15 {
				got := several.run(t, feeds, shapes)
				for name := range shapes {
					if !slices.Equal(got[name].data, want[name].data) {
						t.Fatalf("%s differs on three threads", name)
					}
				}
			}
		})
	}
}
