//go:build unix

package pipeline

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"metalora/adapters"
	"metalora/convai2"
	"metalora/models"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
)

// BenchmarkEvaluate is what a hundred adapters cost: the processor time of an evaluation, from loading the model on, over that of one
// adapter scoring the same turns a hundred times in a session that is warm, and the heap that remains in use beside the model,
// at its largest, with ten adapters and with a hundred.
func BenchmarkEvaluate(b *testing.B) {
	base, data := benchBase(b)
	var dirs []string
	for i := range 100 {
		dirs = append(dirs, filepath.Join(filepath.Dir(base), fmt.Sprint("adapter-", i)))
		if err := drawAdapter(base, dirs[i], adapters.LoRA{Rank: 8, Alpha: 16}); err != nil {
			b.Fatal(err)
		}
	}
	one, turns := warmSession(b, base, dirs[0], data)
	var all, single float64
	for b.Loop() {
		start := cpuSeconds(b)
		evaluateAll(b, EvaluateOptions{Model: base, Adapters: dirs, Data: data, Threads: 1}, false)
		all += cpuSeconds(b) - start
		start = cpuSeconds(b)
		for range dirs {
			if _, err := one.scorer.engine.Evaluate(b.Context(), turns, one.scorer.set); err != nil {
				b.Fatal(err)
			}
		}
		single += cpuSeconds(b) - start
	}
	ten := evaluateAll(b, EvaluateOptions{Model: base, Adapters: dirs[:10], Data: data, Threads: 1}, true)
	hundred := evaluateAll(b, EvaluateOptions{Model: base, Adapters: dirs, Data: data, Threads: 1}, true)
	b.ReportMetric(all/single, "hundred/one-100-times")
	b.ReportMetric(float64(ten)/(1<<20), "MB-at-10")
	b.ReportMetric(float64(hundred)/(1<<20), "MB-at-100")
}

// benchBase is a model of 64 wide and 2 layers with the dialogues and the tokenizer of the small one.
func benchBase(b *testing.B) (base, data string) {
	b.Helper()
	base, data, err := writeSmallBase(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	c := models.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads = 320, 64, 2, 4
	c.IntermediateSize, c.MaxPositionEmbeddings, c.TypeVocabSize = 256, 260, 1
	if err := c.Save(base, models.Initialise(c, rng.New(1, "base")), ""); err != nil {
		b.Fatal(err)
	}
	return base, data
}

func warmSession(b *testing.B, base, adapter, data string) (*Predictor, []train.Turn) {
	b.Helper()
	p, err := OpenPredictor(PredictOptions{Model: base, Adapter: adapter, Threads: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	dialogues, err := convai2.ReadFile(data)
	if err != nil {
		b.Fatal(err)
	}
	var turns []train.Turn
	for _, d := range dialogues {
		samples, err := convai2.Samples(d)
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range samples {
			turn, err := encodeTurn(p.reader.tokenizer, s, p.reader.length)
			if err != nil {
				b.Fatal(err)
			}
			turns = append(turns, turn)
		}
	}
	_, err = p.scorer.engine.Evaluate(b.Context(), turns, p.scorer.set)
	if err != nil {
		b.Fatal(err)
	}
	return p, turns
}

// evaluateAll is the largest heap in use when a result comes, where it is asked for.
func evaluateAll(b *testing.B, o EvaluateOptions, weigh bool) (largest uint64) {
	b.Helper()
	for _, err := range Evaluate(b.Context(), o, Quiet{}) {
		if err != nil {
			b.Fatal(err)
		}
		if !weigh {
			continue
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		largest = max(largest, m.HeapAlloc)
	}
	return largest
}
