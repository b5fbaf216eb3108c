package autodiff

import (
	"encoding/binary"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"metalora/onnx"
)

// What ONNX Runtime's optimiser made of BERT and RoBERTa is differentiable by every weight: along a random direction and
// along the gradient itself, each agrees with finite differences of the fused graph.
func TestFusedExports(t *testing.T) {
	for _, path := range fusedExports(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m, feeds, weights := withWeightsAsInputs(t, path)
			d, gradients, err := Differentiate(m, Request{Of: "logits", Wrt: weights, Seed: "seed"})
			if err != nil {
				t.Fatal(err)
			}
			before, after := open(t, m), open(t, d)
			shapes := map[string][]int{"logits": feeds["seed"].shape}
			fetched := maps.Clone(shapes)
			for _, g := range gradients {
				fetched[g.Output] = feeds[g.Of].shape
			}
			y, got := before.run(t, feeds, shapes), after.run(t, feeds, fetched)
			compare(t, "logits", got["logits"], y["logits"].data, feeds["seed"].shape, onnx.Float)
			for _, g := range gradients {
				alongDirections(t, before, feeds, g.Of, got[g.Output].data)
			}
		})
	}
}

// The table gradients of a fused embedding may leave as rows, and add up to the dense gradients.
func TestFusedEmbeddingRows(t *testing.T) {
	for _, path := range fusedExports(t) {
		m, feeds, _ := withWeightsAsInputs(t, path)
		const words, places, kinds = "bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight", "bert.embeddings.token_type_embeddings.weight"
		tables := []string{words, places, kinds}
		if _, bert := feeds[words]; !bert {
			continue
		}
		sparse, rows, err := Differentiate(m, Request{Of: "logits", Wrt: tables, Rows: tables, Seed: "seed"})
		if err != nil {
			t.Fatal(err)
		}
		dense, _, err := Differentiate(m, Request{Of: "logits", Wrt: tables, Seed: "seed"})
		if err != nil {
			t.Fatal(err)
		}
		fetched := map[string][]int{}
		for _, g := range rows {
			fetched[g.Output], fetched[g.IDs] = nil, nil
		}
		got := open(t, sparse).run(t, feeds, fetched)
		want := open(t, dense).run(t, feeds, map[string][]int{gradPrefix + words: nil, gradPrefix + places: nil, gradPrefix + kinds: nil})
		for _, g := range rows {
			table := feeds[g.Of]
			sum, width := array{table.shape, make([]float64, len(table.data)), onnx.Float}, table.shape[1]
			ids := got[g.IDs]
			if _, given := feeds[g.IDs]; given {
				ids = feeds[g.IDs]
			}
			for i, x := range got[g.Output].data {
				sum.data[int(ids.data[i/width])*width+i%width] += x
			}
			compare(t, g.Of, sum, want[gradPrefix+g.Of].data, table.shape, onnx.Float)
		}
		return
	}
	if os.Getenv("CI") == "true" {
		t.Error("no fused export is a BERT")
	}
}

// fusedExports are the reference's models with operators of ONNX Runtime's own.
func fusedExports(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../../../shared/reference/onnx-exports/fused-*.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 && os.Getenv("CI") == "true" {
		t.Fatal("../shared/reference/onnx-exports holds no fused models: the checkout of the shared data is missing")
	}
	return paths
}

// withWeightsAsInputs reads an export, declares its float initialisers as inputs, and feeds these, two rows of five tokens of
// which the last one is padding, and a cotangent of the logits.
func withWeightsAsInputs(t *testing.T, path string) (m *onnx.Model, feeds map[string]array, weights []string) {
	t.Helper()
	m, err := onnx.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shape := dims(2, 5)
	feeds = map[string]array{
		"input_ids":      {shape, []float64{0, 5, 6, 7, 2, 0, 9, 8, 2, 1}, onnx.Int64},
		"attention_mask": {shape, []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 0}, onnx.Int64},
		"token_type_ids": {shape, []float64{0, 0, 0, 1, 1, 0, 0, 1, 1, 1}, onnx.Int64},
		"seed":           {dims(2, 2), []float64{0.7, -1.1, 0.4, 1.3}, onnx.Float},
	}
	g := m.Graph
	if !slices.ContainsFunc(g.Inputs, func(in onnx.ValueInfo) bool { return in.Name == "token_type_ids" }) {
		delete(feeds, "token_type_ids")
	}
	g.Inputs = append(g.Inputs, onnx.ValueInfo{Name: "seed", Type: onnx.Float})
	var kept []*onnx.Tensor
	for _, w := range g.Initializers {
		if w.Type != onnx.Float || len(w.Dims) == 0 {
			kept = append(kept, w)
			continue
		}
		a := array{dims(), nil, onnx.Float}
		for _, d := range w.Dims {
			a.shape = append(a.shape, int(d))
		}
		for raw := w.Raw; len(raw) > 0; raw = raw[4:] {
			a.data = append(a.data, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		}
		feeds[w.Name] = a
		weights = append(weights, w.Name)
		g.Inputs = append(g.Inputs, onnx.ValueInfo{Name: w.Name, Type: onnx.Float, Shape: fixed("", a.shape)})
	}
	g.Initializers = kept
	return m, feeds, weights
}

// alongDirections compares a gradient with central differences of Σ seed*logits, as a slope along two directions.
func alongDirections(t *testing.T, s session, feeds map[string]array, weight string, gradient []float64) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, uint64(len(gradient))))
	random := make([]float64, len(gradient))
	for i := range random {
		random[i] = r.NormFloat64()
	}
	for _, direction := range [][]float64{random, slices.Clone(gradient)} {
		length := math.Sqrt(dot(direction, direction))
		if length < 1e-6 {
			continue // a bias of keys changes nothing
		}
		for i := range direction {
			direction[i] /= length
		}
		at := func(h float64) float64 {
			moved := maps.Clone(feeds)
			w := moved[weight]
			w.data = slices.Clone(w.data)
			for i, d := range direction {
				w.data[i] += h * d
			}
			moved[weight] = w
			return dot(s.run(t, moved, map[string][]int{"logits": dims(2, 2)})["logits"].data, feeds["seed"].data)
		}
		const h = 0.02
		want := (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
		if got := dot(gradient, direction); math.Abs(got-want) > 1e-3*max(0.05, math.Abs(want)) {
			t.Errorf("slope by %s: %g, want %g", weight, got, want)
		}
	}
}

func dot(x, y []float64) (sum float64) {
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}
