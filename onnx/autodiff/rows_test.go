package autodiff

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/onnx"
)

// embeddings is RoBERTa's first step in small: words and positions are looked up and added, the positions' ids computed
// from the words'.
func embeddings(t *testing.T) (*onnx.Model, map[string]array) {
	t.Helper()
	m := onnx.NewModel(&onnx.Graph{Name: "test"})
	b := onnx.NewBuilder(m.Graph)
	b.Input("ids", onnx.Int64, "rows", "length")
	b.Input("words", onnx.Float, 5, 2)
	b.Input("positions", onnx.Float, 4, 2)
	b.Input("unused", onnx.Float, 7, 2)
	word := b.Op("Gather", []string{"words", "ids"})
	pos := b.Op("CumSum", []string{b.Op("Min", []string{"ids", b.Int(1)}), b.Int(1)})
	x := b.Op("Add", []string{word, b.Op("Gather", []string{"positions", pos})})
	b.Named("loss", "ReduceSum", []string{b.Op("Mul", []string{x, x})})
	b.Output("loss", onnx.Float, 1, 1, 1)
	return m, map[string]array{
		"ids":       {dims(2, 2), []float64{4, 1, 4, 4}, onnx.Int64},
		"words":     {dims(5, 2), []float64{9, 9, 1, 2, 9, 9, 9, 9, 3, 4}, onnx.Float},
		"positions": {dims(4, 2), []float64{9, 9, 1, 0, 0, 1, 9, 9}, onnx.Float},
		"unused":    {dims(7, 2), make([]float64, 14), onnx.Float},
	}
}

// The gradient of a table leaves as rows with their ids, shared by tables whose rows were added.
func TestRows(t *testing.T) {
	m, feeds := embeddings(t)
	tables := []string{"words", "positions", "unused"}
	d, gs, err := Differentiate(m, Request{Of: "loss", Wrt: tables, Rows: tables})
	if err != nil {
		t.Fatal(err)
	}
	want := []Gradient{
		{Of: "words", Output: "grad::words", IDs: "ids"}, {Of: "positions", Output: "grad::words", IDs: "ids::positions"},
		{Of: "unused", Output: "grad::unused", IDs: "ids::unused", Zero: true},
	}
	if d := cmp.Diff(want, gs); d != "" {
		t.Fatal(d)
	}
	got := open(t, d).run(t, feeds, map[string][]int{"grad::words": nil, "ids::positions": nil, "grad::unused": dims(0, 2), "ids::unused": dims(0)})
	wantValues := map[string]array{
		"grad::words":    {dims(2, 2, 2), []float64{8, 8, 2, 6, 8, 8, 6, 10}, onnx.Float},
		"ids::positions": {dims(2, 2), []float64{1, 2, 1, 2}, onnx.Int64},
		"grad::unused":   {dims(0, 2), []float64{}, onnx.Float},
		"ids::unused":    {dims(0), []float64{}, onnx.Int64},
	}
	if d := cmp.Diff(wantValues, got, cmp.AllowUnexported(array{})); d != "" {
		t.Error(d)
	}
}

// Added up, the rows are the dense gradient.
func TestRowsAddUpToTheDenseGradient(t *testing.T) {
	m, feeds := embeddings(t)
	tables := []string{"words", "positions"}
	sparse, gs, err := Differentiate(m, Request{Of: "loss", Wrt: tables, Rows: tables})
	if err != nil {
		t.Fatal(err)
	}
	dense, _, err := Differentiate(m, Request{Of: "loss", Wrt: tables})
	if err != nil {
		t.Fatal(err)
	}
	rows := open(t, sparse).run(t, feeds, map[string][]int{"grad::words": nil, "ids::positions": nil})
	rows["ids"] = feeds["ids"]
	whole := open(t, dense).run(t, feeds, map[string][]int{"grad::words": nil, "grad::positions": nil})
	for _, g := range gs {
		sum := make([]float64, elements(feeds[g.Of].shape))
		for i, id := range rows[g.IDs].data {
			for j := range 2 {
				sum[2*int(id)+j] += rows[g.Output].data[2*i+j]
			}
		}
		if d := cmp.Diff(sum, whole["grad::"+g.Of].data); d != "" {
			t.Errorf("%s: %s", g.Of, d)
		}
	}
}

// A table that is read twice leaves the rows of both, in the graph's order.
func TestRowsReadTwice(t *testing.T) {
	m := onnx.NewModel(&onnx.Graph{Name: "test"})
	b := onnx.NewBuilder(m.Graph)
	b.Input("a", onnx.Int64, "n")
	b.Input("b", onnx.Int32, 1, 2)
	b.Input("table", onnx.Float, 3, 2)
	first := b.Op("Gather", []string{"table", "a"})
	second := b.Op("Gather", []string{"table", "b"}, onnx.IntAttr("axis", -2))
	sum := b.Op("Add", []string{b.Op("ReduceSum", []string{first}), b.Op("ReduceSum", []string{b.Op("Mul", []string{second, second})})})
	b.Named("loss", "ReduceSum", []string{sum})
	b.Output("loss", onnx.Float, 1, 1, 1)
	d, gs, err := Differentiate(m, Request{Of: "loss", Wrt: []string{"table"}, Rows: []string{"table"}})
	if err != nil {
		t.Fatal(err)
	}
	if gs[0].IDs != "ids::table" {
		t.Fatalf("gradient %+v", gs[0])
	}
	s := open(t, d)
	feeds := map[string]array{"a": {dims(1), []float64{2}, onnx.Int64}, "b": {dims(1, 2), []float64{0, 2}, onnx.Int32}, "table": {dims(3, 2), []float64{1, 2, 3, 4, 5, 6}, onnx.Float}}
	got := s.run(t, feeds, map[string][]int{"grad::table": nil, "ids::table": nil})
	want := map[string]array{
		"grad::table": {dims(3, 2), []float64{1, 1, 2, 4, 10, 12}, onnx.Float},
		"ids::table":  {dims(3), []float64{2, 0, 2}, onnx.Int64},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(array{})); d != "" {
		t.Error(d)
	}
}
