package onnx

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCountWork: rows·(length·8 by 8×4) in float32, a bias that is added, rows looked up in a table of 100, and a view.
func TestCountWork(t *testing.T) {
	g := &Graph{Name: "count"}
	b := NewBuilder(g)
	ids := b.Input("ids", Int64, "rows*length")
	b.Input("table", Float, 100, 8)
	b.Input("w", Float, 8, 4)
	b.Input("bias", Float, 4)
	x := b.Op("Gather", []string{"table", ids}, IntAttr("axis", 0))
	y := b.Op("Add", []string{b.Op("MatMul", []string{x, "w"}), "bias"})
	b.Named("z", "Reshape", []string{y, b.Ints(-1)})
	b.Output("z", Float, "all")
	const tokens = 3 * 5
	want := Count{
		Nodes: 4, Flops: 2 * tokens * 8 * 4,
		Weights:     4 * (tokens*8 + 8*4 + 4),                     // the rows read, w, bias
		Activations: 8*tokens + 4*tokens*(8) + 4*tokens*(8+4+4+4), // ids, the rows written; read and written by MatMul and Add
	}
	got, err := CountWork(NewModel(g), map[string]int64{"rows": 3, "length": 5})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	b.Node("elsewhere", "Mystery", []string{"z"}, 1)
	if got, err = CountWork(NewModel(g), map[string]int64{"rows": 3, "length": 5}); err != nil || got.Unknown != 1 || got.Activations != want.Activations {
		t.Errorf("with an operator that nothing is known of: %+v (%v)", got, err)
	}
}
