package autodiff

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/onnx"
)

// graph starts a model with the given inputs, float matrices [2, 3].
func graph(inputs ...string) (*onnx.Model, *onnx.Builder) {
	m := onnx.NewModel(&onnx.Graph{Name: "test"})
	b := onnx.NewBuilder(m.Graph)
	for _, in := range inputs {
		b.Input(in, onnx.Float, 2, 3)
	}
	return m, b
}

func matrix(xs ...float64) array { return array{dims(2, 3), xs, onnx.Float} }

// One error names every blocking node, with the reason.
func TestUnsupportedListsEveryNode(t *testing.T) {
	m, b := graph("x")
	b.Graph.Nodes = append(b.Graph.Nodes,
		&onnx.Node{Name: "first", Op: "Mystery", Domain: "com.example", Inputs: []string{"x"}, Outputs: []string{"a"}},
		&onnx.Node{Name: "second", Op: "Unique", Inputs: []string{"a"}, Outputs: []string{"b"}},
		&onnx.Node{Name: "aside", Op: "Mystery", Domain: "com.example", Inputs: []string{"x"}, Outputs: []string{"c"}},
		&onnx.Node{Name: "third", Op: "Dropout", Inputs: []string{"b", "", "training"}, Outputs: []string{"d"}},
		&onnx.Node{Op: "DFT", Inputs: []string{"d"}, Outputs: []string{"e"}})
	b.Graph.Initializers = append(b.Graph.Initializers, &onnx.Tensor{Name: "training", Type: onnx.Bool, Raw: []byte{1}})
	m.Opsets["com.example"] = 1
	b.Output("e", onnx.Float)

	_, _, err := Differentiate(m, Request{Of: "e", Wrt: []string{"x"}})
	var u *Unsupported
	if !errors.As(err, &u) {
		t.Fatalf("error %v, want *Unsupported", err)
	}
	want := []Blocker{
		{"e", "DFT", "", "signal transforms are not differentiated"},
		{"third", "Dropout", "", "in training mode it draws its own mask"},
		{"second", "Unique", "", "which elements it leaves depends on their values"},
		{"first", "Mystery", "com.example", "there is no rule for this operator"},
	}
	if d := cmp.Diff(want, u.Blockers); d != "" {
		t.Error(d)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w.Node) || !strings.Contains(err.Error(), w.Why) {
			t.Errorf("the error does not name %v:\n%v", w, err)
		}
	}
}

// What no gradient needs is not computed.
func TestDeadBranchesAddNothing(t *testing.T) {
	m, b := graph("x", "frozen", "dead")
	y := b.Op("Mul", []string{"x", "frozen"})
	b.Named("side", "Unique", []string{"dead"})
	b.Named("loss", "ReduceSum", []string{y})
	b.Output("loss", onnx.Float, 1, 1)
	b.Output("side", onnx.Float)

	d, _, err := Differentiate(m, Request{Of: "loss", Wrt: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range d.Graph.Nodes[len(m.Graph.Nodes):] {
		got = append(got, n.Op)
	}
	want := []string{"ConstantOfShape", "Expand", "Mul"} // the seed, the sum's gradient, dy*frozen
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("appended nodes: %s", d)
	}
	if len(m.Graph.Nodes) != 3 || len(m.Graph.Outputs) != 2 {
		t.Error("the model itself was changed")
	}
}

// A value that several nodes read adds up their cotangents; intermediate values have gradients too.
func TestSeveralUsesAccumulate(t *testing.T) {
	m, b := graph("x")
	b.Named("y", "Mul", []string{"x", "x"})
	b.Named("z", "Add", []string{"y", b.Op("Mul", []string{"x", "y"})}) // x² + x³
	b.Named("loss", "ReduceSum", []string{"z"}, onnx.IntAttr("keepdims", 0))
	b.Output("loss", onnx.Float)

	d, gs, err := Differentiate(m, Request{Of: "loss", Wrt: []string{"x", "y", "z", "loss"}})
	if err != nil {
		t.Fatal(err)
	}
	feeds := map[string]array{"x": matrix(1, 2, -1, 0.5, 0, 3)}
	got := open(t, d).run(t, feeds, map[string][]int{"grad::x": nil, "grad::y": nil, "grad::z": nil, "grad::loss": dims()})
	for i, want := range [][]float64{{5, 16, 1, 1.75, 0, 33}, {2, 3, 0, 1.5, 1, 4}, {1, 1, 1, 1, 1, 1}, {1}} {
		if !slices.Equal(got[gs[i].Output].data, want) {
			t.Errorf("gradient by %s is %v, want %v", gs[i].Of, got[gs[i].Output].data, want)
		}
	}
}

// A value that the output does not depend on has zeros for gradient, of its shape.
func TestIndependentValuesHaveZeros(t *testing.T) {
	m, b := graph("x")
	b.Input("other", onnx.Float, "n", 2)
	b.Named("side", "Exp", []string{"other"})
	whole := b.Op("Cast", []string{"x"}, onnx.IntAttr("to", int64(onnx.Int64)))
	back := b.Op("Cast", []string{whole}, onnx.IntAttr("to", int64(onnx.Float)))
	b.Named("loss", "ReduceSum", []string{b.Op("Add", []string{back, b.Op("Floor", []string{"x"})})})
	b.Output("loss", onnx.Float, 1, 1)

	d, _, err := Differentiate(m, Request{Of: "loss", Wrt: []string{"x", "other", "side"}})
	if err != nil {
		t.Fatal(err)
	}
	feeds := map[string]array{"x": matrix(1, 2, -1, 0.5, 0, 3), "other": {dims(2, 2), []float64{1, 2, 3, 4}, onnx.Float}}
	got := open(t, d).run(t, feeds, map[string][]int{"grad::x": nil, "grad::other": nil, "grad::side": nil})
	for name, shape := range map[string][]int{"grad::x": dims(2, 3), "grad::other": dims(2, 2), "grad::side": dims(2, 2)} {
		want := array{shape, make([]float64, elements(shape)), onnx.Float}
		if d := cmp.Diff(want, got[name], cmp.AllowUnexported(array{})); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Requests that the graph cannot answer are refused with the name of what is wrong.
func TestRefusals(t *testing.T) {
	m, b := graph("x")
	b.Input("ids", onnx.Int64, 4)
	b.Input("taken", onnx.Float, 2)
	b.Named("grad::taken", "Identity", []string{"taken"})
	y := b.Named("rows", "Gather", []string{"x", "ids"})
	b.Named("loss", "ReduceSum", []string{b.Op("Mul", []string{y, b.Op("ReduceSum", []string{"x"})})})
	b.Output("loss", onnx.Float)
	old := m.Clone()
	old.Opsets[""] = 10
	for _, c := range []struct {
		name string
		m    *onnx.Model
		r    Request
		want string
	}{
		{"integer", m, Request{Of: "loss", Wrt: []string{"ids"}}, `"ids" is of type int64`},
		{"integer output", m, Request{Of: "ids", Wrt: []string{"x"}}, `"ids" is of type int64`},
		{"no such value", m, Request{Of: "loss", Wrt: []string{"w"}}, `no value "w"`},
		{"no such output", m, Request{Of: "cost", Wrt: []string{"x"}}, `no value "cost"`},
		{"no such seed", m, Request{Of: "loss", Wrt: []string{"x"}, Seed: "s"}, `no value "s"`},
		{"no name", m, Request{Of: "loss", Wrt: []string{""}}, `no value ""`},
		{"twice", m, Request{Of: "loss", Wrt: []string{"x", "x"}}, "asked for twice"},
		{"name taken", m, Request{Of: "loss", Wrt: []string{"taken"}}, `"grad::taken"`},
		{"rows not asked for", m, Request{Of: "loss", Rows: []string{"x"}}, "not asked for"},
		{"rows of a vector", m, Request{Of: "loss", Wrt: []string{"taken"}, Rows: []string{"taken"}}, `"taken"`},
		{"rows read otherwise", m, Request{Of: "loss", Wrt: []string{"x"}, Rows: []string{"x"}}, `ReduceSum): it reads "x" other than by Gather`},
		{"old operators", old, Request{Of: "loss", Wrt: []string{"x"}}, "opset 10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Differentiate(c.m, c.r)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// The operator set is lifted only where a gradient needs a newer one.
func TestOpset(t *testing.T) {
	for op, want := range map[string]int64{"Gather": 16, "Mul": 13} {
		m, b := graph("x")
		b.Input("ids", onnx.Int64, 2)
		in := []string{"x", "ids"}
		if op == "Mul" {
			in[1] = "x"
		}
		b.Named("y", op, in)
		b.Output("y", onnx.Float)
		m.Opsets[""] = 13
		d, _, err := Differentiate(m, Request{Of: "y", Wrt: []string{"x"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Opsets[""]; got != want || m.Opsets[""] != 13 {
			t.Errorf("%s: opset %d, want %d; the model's own is %d", op, got, want, m.Opsets[""])
		}
	}
}

// RoiAlign samples where it did, also in the operator set that changed its default.
func TestLiftKeepsRoiAlign(t *testing.T) {
	m, b := graph("x")
	b.Input("image", onnx.Float, 1, 1, 4, 4)
	b.Input("regions", onnx.Float, 1, 4)
	aligned := b.Op("RoiAlign", []string{"image", "regions", b.Ints(0)})
	gathered := b.Op("Gather", []string{"x", b.Ints(1, 1)})
	b.Named("y", "Mul", []string{b.Op("ReduceSum", []string{aligned}), b.Op("ReduceSum", []string{gathered})})
	b.Output("y", onnx.Float, 1, 1, 1, 1)
	m.Opsets[""] = 13
	d, _, err := Differentiate(m, Request{Of: "y", Wrt: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	feeds := map[string]array{"x": matrix(1, 2, -1, 0.5, 0, 3), "regions": {dims(1, 4), []float64{0.3, 0.6, 2.9, 2.2}, onnx.Float}}
	feeds["image"] = array{dims(1, 1, 4, 4), []float64{1, 5, 2, 7, 3, 9, 4, 2, 8, 6, 1, 3, 2, 5, 7, 4}, onnx.Float}
	shapes := map[string][]int{"y": nil}
	before, after := open(t, m).run(t, feeds, shapes), open(t, d).run(t, feeds, shapes)
	if diff := cmp.Diff(before["y"].data, after["y"].data); diff != "" || d.Opsets[""] != 16 {
		t.Errorf("in opset %d: %s", d.Opsets[""], diff)
	}
}

// Constants that no node reads are not left behind, and the model's own are all kept.
func TestUnusedConstants(t *testing.T) {
	m, b := graph("x")
	own := b.Scalar(7)
	b.Input("wide", onnx.Float, 2, 5)
	b.Named("y", "Concat", []string{"wide", "wide", "x"}, onnx.IntAttr("axis", 1)) // the start of x is 5+5
	b.Output("y", onnx.Float, 2, 13)
	d, _, err := Differentiate(m, Request{Of: "y", Wrt: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range d.Graph.Initializers {
		reads := func(n *onnx.Node) bool { return slices.Contains(n.Inputs, c.Name) }
		if c.Name != own && !slices.ContainsFunc(d.Graph.Nodes, reads) {
			t.Errorf("nothing reads %s", c.Name)
		}
	}
	if !slices.ContainsFunc(d.Graph.Initializers, func(c *onnx.Tensor) bool { return c.Name == own }) {
		t.Errorf("%s is gone", own)
	}
}
