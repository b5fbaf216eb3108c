package train

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"metalora/adapters"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/onnx/kernels"
	"metalora/pipeline/rng"
	"metalora/tokenize"
)

// drawn is an adapter of random weights with a head of its own.
func drawn(t testing.TB, base *models.Folder, l adapters.LoRA, name string) adapters.Mixed {
	t.Helper()
	graph, err := base.Architecture.Forward(models.Dropout{})
	if err != nil {
		t.Fatal(err)
	}
	sites, err := l.Sites(adapters.Linears(graph))
	if err != nil {
		t.Fatal(err)
	}
	s := rng.New(1, "mixed", name)
	weights := adapters.Init(sites, s)
	for _, site := range sites {
		for i := range weights[site.B()].Data {
			weights[site.B()].Data[i] = float32(s.Normal() * 0.1)
		}
	}
	for name, x := range models.FreshHead(base.Architecture, s) {
		weights[name] = x
	}
	return adapters.Mixed{Sites: sites, Tensors: weights}
}

func drawTurn(limits models.Limits, rows, length int, s *rng.Stream) *Turn {
	all := make([][]int, rows)
	for r := range all {
		for range length - r%3 {
			all[r] = append(all[r], 3+s.IntN(limits.Vocabulary-3))
		}
	}
	return &Turn{Batch: tokenize.NewBatch(all, limits.Pad)}
}

// TestMixed: adapters of several ranks and places, each with a head of its own, score in one run what each scores alone.
func TestMixed(t *testing.T) {
	for _, dir := range []string{"testdata/nano-roberta", "../../models/testdata/micro/bert-relu", "../../models/testdata/micro/distilbert", "../../models/testdata/micro/xlm-roberta"} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			base, err := models.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			var all []adapters.Mixed
			for i, l := range []adapters.LoRA{{Rank: 2, Alpha: 16}, {Rank: 4, Alpha: 4, Layers: []int{1}}, {Rank: 1, Alpha: 2, RSLoRA: true}} {
				all = append(all, drawn(t, base, l, fmt.Sprint(i)))
			}
			compareMixed(t, base, all)
		})
	}
}

func compareMixed(t *testing.T, base *models.Folder, all []adapters.Mixed) {
	t.Helper()
	encoder, _ := models.Split(base.Architecture, base.Tensors)
	shared := bound(t, encoder)
	spec := Spec{Architecture: base.Architecture, Sites: drawn(t, base, adapters.LoRA{Rank: 1, Alpha: 1}, "everywhere").Sites, Mixed: true, Threads: 1}
	mixed, err := NewEngine(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer mixed.Close()
	for _, n := range mixed.Graph().Graph.Nodes {
		if n.Op == "Softmax" && kernels.Supported() {
			t.Errorf("attention is not lowered: %v", n)
		}
	}
	stack := adapters.Stack(spec.Sites, spec.Heads(), all)
	for _, rows := range []int{1, 5} {
		turn := drawTurn(base.Architecture.Limits(), rows, 9, rng.New(1, "turn"))
		for _, chunk := range []int{1 << 20, 2 * rows * 9, 1} { // all in one run, two and one, each alone and in parts
			mixed.chunk = chunk
			got, err := mixed.ScoreMixed(t.Context(), turn, stack, shared)
			if err != nil {
				t.Fatal(err)
			}
			for i, a := range all {
				nearScores(t, fmt.Sprintf("adapter %d, runs of %d tokens", i, chunk), got[i], alone(t, base, a, turn, shared))
			}
		}
	}
}

func alone(t *testing.T, base *models.Folder, a adapters.Mixed, turn *Turn, shared *Set) []float32 {
	t.Helper()
	e, err := NewEngine(Spec{Architecture: base.Architecture, Sites: a.Sites, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	want, err := e.Score(t.Context(), turn, bound(t, a.Tensors), shared)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func bound(t testing.TB, tensors safetensors.Tensors) *Set {
	t.Helper()
	s, err := NewSet(tensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func nearScores(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d scores, want %d", name, len(got), len(want))
	}
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); !(d <= 2e-5*(1+math.Abs(float64(want[i])))) {
			t.Errorf("%s: candidate %d: %v, alone %v", name, i, got[i], want[i])
		}
	}
}

// BenchmarkMixed is one run of 20 rows of 48 tokens through a MiniLM-sized model: with one adapter of rank 8, and with ten that
// have two rows each. The runs take turns; what is reported is the quotient of their times' sums.
func BenchmarkMixed(b *testing.B) {
	c := models.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize, c.TypeVocabSize = 1000, 384, 6, 12, 1536, 1
	base := &models.Folder{Architecture: c, Tensors: models.Initialise(c, rng.New(1, "base"))}
	encoder, _ := models.Split(c, base.Tensors)
	shared, spec := bound(b, encoder), Spec{Architecture: c, Threads: 1}
	var all []adapters.Mixed
	for i := range 10 {
		all = append(all, drawn(b, base, adapters.LoRA{Rank: 8, Alpha: 16}, fmt.Sprint(i)))
	}
	spec.Sites = all[0].Sites
	one := opened(b, spec)
	spec.Mixed = true
	mixed := opened(b, spec)
	stack, own := adapters.Stack(spec.Sites, spec.Heads(), all), bound(b, all[0].Tensors)
	many, few := drawTurn(c.Limits(), 20, 48, rng.New(1, "turn")), drawTurn(c.Limits(), 2, 48, rng.New(1, "turn"))
	var single, several time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := one.Score(b.Context(), many, own, shared); err != nil {
			b.Fatal(err)
		}
		single += time.Since(start)
		start = time.Now()
		if _, err := mixed.ScoreMixed(b.Context(), few, stack, shared); err != nil {
			b.Fatal(err)
		}
		several += time.Since(start)
	}
	b.ReportMetric(several.Seconds()/single.Seconds(), "ten/one")
}

func opened(b *testing.B, spec Spec) *Engine {
	b.Helper()
	e, err := NewEngine(spec)
	if err != nil {
		b.Fatal(err)
	}
	e.chunk = 1 << 20
	b.Cleanup(e.Close)
	return e
}
