// Package bench measures training and scoring steps against the engine's own matrix product.
//
// A machine's speed changes from minute to minute, so no time here stands alone: each step is run next to a MatMul of a
// layer's size, in turn, and what counts is the ratio of the two rates of floating-point operations.
package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"metalora/models"
	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/onnx/ort"
	"metalora/pipeline/machine"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
	"metalora/tokenize"
)

// Case is one thing to measure.
type Case struct {
	Name    string
	Config  models.Config
	Trains  train.Weights // 0: scoring
	Rank    int           // of LoRA on every linear layer of the encoder; 0: none
	Dropout float64
	Rows    int // pairs of a turn
	Length  int // tokens of a pair
	Threads int
	Repeats int
	Spin    bool   // see [ort.Options]
	Profile string // start of the name of the engine's profile; empty: none
}

// Reading is what a case measured: medians over its repeats, and the quartiles of the ratio.
type Reading struct {
	Case      string  `json:"case"`
	Tokens    int     `json:"tokens"`
	GFLOP     float64 `json:"gflop"`   // of all matrix products of a turn, counted from the graph
	Seconds   float64 `json:"seconds"` // of a turn, with its share of the optimiser's step
	Rate      float64 `json:"gflop_per_s"`
	MatMul    float64 `json:"matmul_gflop_per_s"`
	Share     float64 `json:"share"` // Rate over MatMul, pair by pair
	Low, High float64 // quartiles of Share
	PeakMiB   int     `json:"peak_mib"` // of the process so far
}

// Sizes are the shapes that are measured.
var Sizes = map[string]func() models.Config{
	"demo":   func() models.Config { return roberta(64, 2, 4, 128) },
	"minilm": func() models.Config { return roberta(384, 6, 12, 1536) },
	"base":   func() models.Config { return roberta(768, 12, 12, 3072) },
}

func roberta(hidden, layers, heads, intermediate int) models.Config {
	c := models.DefaultConfig()
	c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize = hidden, layers, heads, intermediate
	c.MaxPositionEmbeddings, c.TypeVocabSize, c.LayerNormEps = 514, 1, 1e-5
	return c
}

// Cases are the steps of the experiment at one size: retraining, adaptation and scoring, with dropout and without. repeats of
// 0 are 15, since a short step is easily disturbed, or 4 at base size.
func Cases(size string, rows, length, threads, repeats int) ([]Case, error) {
	shape, ok := Sizes[size]
	if !ok {
		return nil, fmt.Errorf("there is no size %q: demo, minilm or base", size)
	}
	if repeats == 0 {
		repeats = 15
		if size == "base" {
			repeats = 4
		}
	}
	c := Case{Config: shape(), Rows: rows, Length: length, Threads: threads, Repeats: repeats}
	variants := []struct {
		name    string
		trains  train.Weights
		rank    int
		dropout float64
	}{
		{"scoring", 0, 0, 0},
		{"LoRA 8", train.Adapter | train.Head, 8, 0},
		{"LoRA 8, dropout 0.1", train.Adapter | train.Head, 8, 0.1},
		{"all weights", train.Base | train.Head, 0, 0},
		{"all weights, dropout 0.1", train.Base | train.Head, 0, 0.1},
		{"all weights + LoRA 8, dropout 0.1", train.Base | train.Adapter | train.Head, 8, 0.1},
	}
	var cases []Case
	for _, v := range variants {
		c.Name, c.Trains, c.Rank, c.Dropout = size+": "+v.name, v.trains, v.rank, v.dropout
		cases = append(cases, c)
	}
	return cases, nil
}

// turnsPerStep is how many turns the experiment adds up before the optimiser moves the weights.
const turnsPerStep = 8

// step is a case made ready.
type step struct {
	turn   func() error // one turn, forward and backward where something trains
	update func() error // the optimiser's step; nil where nothing trains
	flops  int64        // of a turn
	graph  *onnx.Model  // as it runs
	close  func()
}

// seconds is what a turn takes and its share of the optimiser's step.
func (s *step) seconds() (float64, error) {
	start := time.Now()
	if err := s.turn(); err != nil {
		return 0, err
	}
	took := time.Since(start).Seconds()
	if s.update == nil {
		return took, nil
	}
	start = time.Now()
	err := s.update()
	return took + time.Since(start).Seconds()/turnsPerStep, err
}

// Measure runs a case next to the MatMul, with the pipeline's care for memory.
func Measure(ctx context.Context, c Case) (*Reading, error) {
	defer train.CollectOften()()
	s, err := c.prepare(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", c.Name, err)
	}
	defer s.close()
	product, err := newMatMul(c.Rows*c.Length, c.Config.HiddenSize, c.Config.IntermediateSize, c.Threads)
	if err != nil {
		return nil, fmt.Errorf("preparing the MatMul: %w", err)
	}
	defer product.close()
	var seconds, rates, products, shares []float64
	for i := range c.Repeats + 1 {
		beside, err := product.rate()
		if err != nil {
			return nil, err
		}
		took, err := s.seconds()
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", c.Name, err)
		}
		after, err := product.rate()
		if err != nil {
			return nil, err
		}
		if i == 0 {
			continue // the first run lays out memory
		}
		rate, peak := float64(s.flops)/took/1e9, (beside+after)/2
		seconds, rates, products, shares = append(seconds, took), append(rates, rate), append(products, peak), append(shares, rate/peak)
	}
	return &Reading{Case: c.Name, Tokens: c.Rows * c.Length, GFLOP: float64(s.flops) / 1e9, Seconds: quantile(seconds, 0.5),
		Rate: quantile(rates, 0.5), MatMul: quantile(products, 0.5), Share: quantile(shares, 0.5),
		Low: quantile(shares, 0.25), High: quantile(shares, 0.75), PeakMiB: int(machine.Peak() >> 20)}, nil
}

func quantile(xs []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(xs))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func (c Case) prepare(ctx context.Context) (*step, error) {
	return c.prepareOf(ctx, c.Config, models.Initialise(c.Config, rng.New(1, "bench")))
}

// prepareOf is prepare for another graph than the configuration's.
func (c Case) prepareOf(ctx context.Context, a models.Architecture, weights safetensors.Tensors) (*step, error) {
	l, err := newLoad(a, weights, c.Trains, c.Rank, c.Dropout, c.Threads, c.Spin, c.Profile)
	if err != nil {
		return nil, err
	}
	flops, err := l.engine.Flops(c.Rows, c.Length)
	if err != nil {
		l.close()
		return nil, err
	}
	turn := c.turn()
	p := &step{flops: flops, graph: l.engine.Graph(), close: l.close}
	if c.Trains == 0 {
		p.turn = func() error {
			_, err := l.engine.Score(ctx, turn, l.set)
			return err
		}
		return p, nil
	}
	p.turn = func() error {
		_, err := l.engine.Accumulate(ctx, turn, turnsPerStep*turn.Rows, l.masks, l.set)
		return err
	}
	p.update = l.update
	return p, nil
}

// load is the case's model of random weights with its optimiser.
func (c Case) load() (*load, error) {
	return newLoad(c.Config, models.Initialise(c.Config, rng.New(1, "bench")), c.Trains, c.Rank, c.Dropout, c.Threads, c.Spin, c.Profile)
}

// turn is drawn ids of full length: what a real turn costs does not hang on which words it has.
func (c Case) turn() *train.Turn {
	s, rows := rng.New(2, "turn"), make([][]int, c.Rows)
	for i := range rows {
		for range c.Length {
			rows[i] = append(rows[i], 4+s.IntN(c.Config.VocabSize-5))
		}
	}
	return &train.Turn{Batch: tokenize.NewBatch(rows, c.Config.PadTokenID), Gold: c.Rows - 1}
}

// matMul is the engine's own product of a layer's size.
type matMul struct {
	session *ort.Session
	feeds   map[string]*ort.Tensor
	fetches map[string]*ort.Tensor
	flops   float64
}

func newMatMul(m, k, n, threads int) (*matMul, error) {
	g := &onnx.Graph{Name: "matmul"}
	b := onnx.NewBuilder(g)
	b.Named("y", "MatMul", []string{b.Input("a", onnx.Float, m, k), b.Input("b", onnx.Float, k, n)})
	b.Output("y", onnx.Float, m, n)
	session, err := ort.OpenModel(onnx.NewModel(g), ort.Options{Threads: threads})
	if err != nil {
		return nil, err
	}
	x := &matMul{session: session, feeds: map[string]*ort.Tensor{}, fetches: map[string]*ort.Tensor{}, flops: 2 * float64(m) * float64(k) * float64(n)}
	s := rng.New(3, "matmul")
	for name, shape := range map[string][]int{"a": {m, k}, "b": {k, n}, "y": {m, n}} {
		data := make([]float32, shape[0]*shape[1])
		for i := range data {
			data[i] = float32(s.Uniform(1))
		}
		tensor, err := ort.NewTensor(shape, data)
		if err != nil {
			return nil, err
		}
		if name == "y" {
			x.fetches[name] = tensor
		} else {
			x.feeds[name] = tensor
		}
	}
	return x, nil
}

// rate is the median of five products, in GFLOP/s.
func (x *matMul) rate() (float64, error) {
	var rates []float64
	for range 5 {
		start := time.Now()
		if err := x.session.Run(x.feeds, x.fetches); err != nil {
			return 0, err
		}
		rates = append(rates, x.flops/time.Since(start).Seconds()/1e9)
	}
	return quantile(rates, 0.5), nil
}

func (x *matMul) close() {
	x.session.Close()
	for _, t := range x.feeds {
		t.Close()
	}
	for _, t := range x.fetches {
		t.Close()
	}
}

// WriteTable prints readings as a Markdown table.
func WriteTable(w io.Writer, readings []*Reading) error {
	out := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(out, "| case\t| tokens\t| GFLOP\t| s\t| GFLOP/s\t| MatMul GFLOP/s\t| share (quartiles)\t| real tokens/s\t| peak MiB\t|")
	fmt.Fprintln(out, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range readings {
		fmt.Fprintf(out, "| %s\t| %d\t| %.1f\t| %.3f\t| %.0f\t| %.0f\t| %.0f %% (%.0f–%.0f)\t| %.0f\t| %d\t|\n", r.Case, r.Tokens, r.GFLOP, r.Seconds,
			r.Rate, r.MatMul, 100*r.Share, 100*r.Low, 100*r.High, float64(r.Tokens)/r.Seconds, r.PeakMiB)
	}
	return out.Flush()
}
