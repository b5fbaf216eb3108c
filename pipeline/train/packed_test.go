package train

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"metalora/adapters"
	"metalora/models"
	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/pipeline/rng"
)

// TestPacked: graphs of our own compute no padding: nothing but lists of ids has a place for it. Those of others, which may look at
// tokens in any way, are left alone.
func TestPacked(t *testing.T) {
	if !kernels.Supported() {
		t.Skip("no kernels on this machine")
	}
	for _, name := range loweredModels {
		for _, trains := range []Weights{0, Base | Head | Adapter} {
			t.Run(fmt.Sprint(filepath.Base(name), trains), func(t *testing.T) {
				folder := loadModel(t, micro(name))
				spec := Spec{Architecture: folder.Architecture, Trains: trains, Sites: drawn(t, folder, adapters.LoRA{Rank: 2, Alpha: 8}, "packed").Sites,
					LoRADropout: 0.1, Dropout: models.Dropout{Hidden: 0.1, Attention: 0.1, Head: 0.1}}
				p, err := spec.program()
				if err != nil {
					t.Fatal(err)
				}
				exported := filepath.Ext(name) == ".onnx"
				if p.packed == exported {
					t.Fatalf("packed: %v", p.packed)
				}
				if p.packed {
					checkPacked(t, p.graph)
				}
			})
		}
	}
}

func checkPacked(t *testing.T, m *onnx.Model) {
	t.Helper()
	facts, err := onnx.Analyse(m)
	if err != nil {
		t.Fatal(err)
	}
	packed := 0
	for name, v := range facts.Values {
		for _, d := range v.Shape {
			switch {
			case d.Name == kernels.Packed:
				packed++
			case d.Name == "length*rows" && (len(v.Shape) > 1 || v.Type != onnx.Int64):
				t.Errorf("%s is %v", name, v.Shape)
			}
		}
	}
	if packed < 20 {
		t.Errorf("%d values of tokens alone", packed)
	}
}

// TestPackedMasks: rows of one token, holes within a row and a batch without padding score as they do where padding is computed.
func TestPackedMasks(t *testing.T) {
	if !kernels.Supported() {
		t.Skip("no kernels on this machine")
	}
	for _, name := range loweredModels {
		if filepath.Ext(name) == ".onnx" {
			continue // it is not packed, and has no head
		}
		folder := loadModel(t, micro(name))
		spec := Spec{Architecture: folder.Architecture}
		plain := spec
		plain.NoKernels = true
		set := newSet(t, folder.Tensors.Clone(), folder.Architecture)
		engines := []*Engine{newEngine(t, plain), newEngine(t, spec)}
		for what, spoil := range map[string]func(mask []int64){
			"as drawn":   func([]int64) {},
			"no padding": func(mask []int64) { copy(mask, slices.Repeat([]int64{1}, len(mask))) },
			"one token":  func(mask []int64) { copy(mask[1:9], make([]int64, 8)) },
			"holes":      func(mask []int64) { mask[2], mask[10], mask[12] = 0, 0, 0 },
		} {
			turn := drawTurn(folder.Architecture.Limits(), 4, 9, rng.New(2, what))
			spoil(turn.Mask)
			var logits [2][]float32
			for i, e := range engines {
				var err error
				if logits[i], err = e.Logits(t.Context(), turn.Batch, set); err != nil {
					t.Fatal(err)
				}
			}
			compareSlices(t, name+", "+what, logits[0], logits[1], 1e-5)
		}
	}
}

// TestPackLeaves: what looks at other tokens, or does not hide padding, keeps its padding.
func TestPackLeaves(t *testing.T) {
	spec := Spec{Architecture: loadModel(t, micro("nano-bert")).Architecture}
	norm := func(m *onnx.Model) string { // the first value of tokens
		return m.Graph.Nodes[slices.IndexFunc(m.Graph.Nodes, func(n *onnx.Node) bool { return n.Op == "LayerNormalization" })].Output(0)
	}
	for what, change := range map[string]func(m *onnx.Model, b *onnx.Builder){
		"nothing": func(*onnx.Model, *onnx.Builder) {},
		"a softmax over tokens": func(m *onnx.Model, b *onnx.Builder) {
			b.Output(b.Op("Softmax", []string{norm(m)}, onnx.IntAttr("axis", 0)), onnx.Float, "tokens", 32)
		},
		"the rows of a batch": func(m *onnx.Model, b *onnx.Builder) {
			shape := b.Op("Concat", []string{b.Op("Shape", []string{"input_ids"}), b.Ints(32)}, onnx.IntAttr("axis", 0))
			b.Output(b.Op("Reshape", []string{norm(m), shape}), onnx.Float, "rows", "length", 32)
		},
		"the mean of tokens": func(m *onnx.Model, b *onnx.Builder) {
			b.Output(b.Op("ReduceMean", []string{norm(m), b.Ints(0)}), onnx.Float, 1, 32)
		},
		"tokens by number": func(m *onnx.Model, b *onnx.Builder) {
			b.Output(b.Op("Gather", []string{norm(m), b.Ints(3)}), onnx.Float, 1, 32)
		},
		"how many there are": func(m *onnx.Model, b *onnx.Builder) {
			b.Output(b.Op("Shape", []string{norm(m)}), onnx.Int64, 2)
		},
		"values that are fed for all places": func(m *onnx.Model, b *onnx.Builder) {
			b.Output(b.Op("Add", []string{b.Input("more", onnx.Float, "tokens", 32), b.Scalar(1)}), onnx.Float, "tokens", 32)
		},
		"a mask that lets padding shine through": func(m *onnx.Model, _ *onnx.Builder) {
			for _, c := range m.Graph.Initializers {
				if slices.Equal(c.Raw, onnx.Floats(nil, -math.MaxFloat32).Raw) {
					c.Raw = onnx.Floats(nil, -5).Raw
				}
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			plain, _, err := spec.graph()
			if err != nil {
				t.Fatal(err)
			}
			m := plain.Clone()
			change(m, onnx.NewBuilder(m.Graph))
			if packed := kernels.Pack(kernels.Lower(m)) != nil; packed != (what == "nothing") {
				t.Errorf("packed: %v", packed)
			}
		})
	}
}
