package autodiff

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/onnx"
)

// linear is y = x W + b of shape [2, 2], and its sum as a second output; ids and counts are integers on the way of nothing.
func linear() *onnx.Model {
	m, b := graph("x")
	b.Input("ids", onnx.Int64, 2)
	w, bias := onnx.Floats([]int64{3, 2}, 1, 2, 3, 4, 5, 6), onnx.Floats([]int64{2}, 0.5, -0.5)
	counts, spare := onnx.Int64s([]int64{2}, 1, 2), onnx.Floats([]int64{1}, 7)
	w.Name, bias.Name, counts.Name, spare.Name = "layer.weight", "layer.bias", "layer.counts", "spare"
	b.Graph.Initializers = append(b.Graph.Initializers, w, bias, counts, spare)
	b.Named("y", "Add", []string{b.Op("MatMul", []string{"x", "layer.weight"}), "layer.bias"})
	b.Named("sum", "ReduceSum", []string{"y"}, onnx.IntAttr("keepdims", 0))
	b.Output("y", onnx.Float, 2, 2)
	b.Output("sum", onnx.Float)
	return m
}

// What a wish chooses: names that patterns match whole, initialisers before inputs, integers apart.
func TestExtendChooses(t *testing.T) {
	for name, c := range map[string]struct {
		wish                     Wish
		gradients, integers      []string
		cotangent, zero, outputs string
	}{
		"a name":       {Wish{Wrt: []string{"layer.bias"}}, []string{"layer.bias"}, nil, "cotangent::y", "", "y sum grad::layer.bias"},
		"a star":       {Wish{Wrt: []string{"layer.*"}}, []string{"layer.weight", "layer.bias"}, []string{"layer.counts"}, "cotangent::y", "", "y sum grad::layer.weight grad::layer.bias"},
		"all":          {Wish{Of: "sum", Wrt: []string{"*"}}, []string{"layer.weight", "layer.bias", "spare", "x"}, []string{"layer.counts", "ids"}, "", "spare", "y sum grad::layer.weight grad::layer.bias grad::spare grad::x"},
		"overlapping":  {Wish{Of: "sum", Wrt: []string{"x", "?"}}, []string{"x"}, nil, "", "", "y sum grad::x"},
		"no substring": {Wish{Of: "sum", Wrt: []string{"*.b*s"}}, []string{"layer.bias"}, nil, "", "", "y sum grad::layer.bias"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Extend(linear(), c.wish)
			if err != nil {
				t.Fatal(err)
			}
			var of, zero, outputs []string
			for _, g := range e.Gradients {
				of = append(of, g.Of)
				if g.Zero {
					zero = append(zero, g.Of)
				}
			}
			for _, o := range e.Model.Graph.Outputs {
				outputs = append(outputs, o.Name)
			}
			got := []any{of, e.Integers, e.Cotangent, strings.Join(zero, " "), strings.Join(outputs, " ")}
			if d := cmp.Diff([]any{c.gradients, c.integers, c.cotangent, c.zero, c.outputs}, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Gradients of an output with several elements are vector-Jacobian products; a sum is differentiated as it is.
func TestExtendComputes(t *testing.T) {
	x := matrix(1, 2, 3, 4, 5, 6)
	for _, c := range []struct {
		of   string
		feed map[string]array
		want []float64
	}{
		{"y", map[string]array{"cotangent::y": {dims(2, 2), []float64{1, 10, 100, 1000}, onnx.Float}}, []float64{401, 4010, 502, 5020, 603, 6030}},
		{"sum", nil, []float64{5, 5, 7, 7, 9, 9}},
	} {
		e, err := Extend(linear(), Wish{Of: c.of, Wrt: []string{"layer.weight"}})
		if err != nil {
			t.Fatal(err)
		}
		feeds := map[string]array{"x": x, "ids": {dims(2), []float64{0, 0}, onnx.Int64}}
		for name, a := range c.feed {
			feeds[name] = a
		}
		got := open(t, e.Model).run(t, feeds, map[string][]int{"grad::layer.weight": dims(3, 2)})["grad::layer.weight"]
		if d := cmp.Diff(c.want, got.data); d != "" {
			t.Errorf("gradient of %s: %s", c.of, d)
		}
	}
}

// scaled has a float that decides a shape, directly and by way of an integer.
func scaled() *onnx.Model {
	m, b := graph("x")
	b.Input("scales", onnx.Float, 2)
	b.Input("width", onnx.Float, 2)
	y := b.Op("Resize", []string{"x", "", "scales"})
	size := b.Op("Cast", []string{"width"}, onnx.IntAttr("to", int64(onnx.Int64)))
	b.Named("y", "Mul", []string{y, b.Op("ReduceSum", []string{b.Op("Expand", []string{b.Scalar(1), size})})})
	b.Output("y", onnx.Float, "rows", "columns")
	return m
}

// What cannot be asked for is refused by name, as an error of who asks.
func TestExtendRefuses(t *testing.T) {
	taken := linear()
	taken.Graph.Inputs = append(taken.Graph.Inputs, onnx.ValueInfo{Name: "cotangent::y", Type: onnx.Float, Shape: onnx.Dims(1)})
	for name, c := range map[string]struct {
		model *onnx.Model
		wish  Wish
		want  string
	}{
		"no pattern":           {linear(), Wish{}, "no pattern"},
		"nothing matches":      {linear(), Wish{Wrt: []string{"layer.weight", "encoder.*"}}, `"encoder.*" matches no initializer`},
		"part of a name":       {linear(), Wish{Wrt: []string{"layer"}}, `"layer" matches no initializer`},
		"intermediate value":   {linear(), Wish{Wrt: []string{"y"}}, `"y" matches no initializer`},
		"integers alone":       {linear(), Wish{Wrt: []string{"ids"}}, "ids: only floats"},
		"no such output":       {linear(), Wish{Of: "loss", Wrt: []string{"x"}}, `no output "loss"; it has "y", "sum"`},
		"intermediate output":  {linear(), Wish{Of: "x", Wrt: []string{"x"}}, `no output "x"`},
		"name taken":           {taken, Wish{Wrt: []string{"x"}}, `already has a value "cotangent::y"`},
		"sets a shape":         {scaled(), Wish{Wrt: []string{"scales"}}, `"scales": it decides a shape`},
		"sets a shape far off": {scaled(), Wish{Wrt: []string{"width"}}, `"width": it decides a shape`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Extend(c.model, c.wish)
			if _, asked := errors.AsType[*RequestError](err); !asked || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a RequestError with %q", err, c.want)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"*", "", true}, {"?", "", false}, {"a", "", false}, {"", "a", false},
		{"*", "/layer.0/[x]", true}, {"/layer.?/*", "/layer.0/w", true}, {"/layer.?/*", "/layer.10/w", false},
		{"*a*b", "aXbaYb", true}, {"*a*b", "aXbaYc", false}, {"a**c", "abc", true}, {"[ab]", "a", false}, {"[ab]", "[ab]", true},
		{"*.bias", "layer.bias.scale", false}, {"w*", "w", true}, {"x", "xx", false},
	} {
		if got := Matches(c.pattern, c.name); got != c.want {
			t.Errorf("Matches(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}
