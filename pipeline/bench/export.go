package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"metalora/models"
	"metalora/onnx"
	"metalora/pipeline/train"
)

// Comparison is what a turn of an export takes beside a turn of metalora's own RoBERTa graph of the same sizes.
type Comparison struct {
	Case           string  `json:"case"`
	Export         float64 `json:"export_s"` // median
	Own            float64 `json:"own_s"`
	Ratio          float64 `json:"ratio"` // of the times, pair by pair: the median
	Low, High      float64 // its quartiles
	Rows, Length   int
	Layers, Hidden int
}

// CompareExport runs the cases of an exported RoBERTa and of our own graph in turn.
func CompareExport(ctx context.Context, path string, rows, length, threads, repeats int) ([]*Comparison, error) {
	folder, err := models.Load(path)
	if err != nil {
		return nil, err
	}
	own, err := ownShape(folder)
	if err != nil {
		return nil, fmt.Errorf("measuring %s: %w", path, err)
	}
	var all []*Comparison
	for _, v := range []struct {
		name   string
		trains train.Weights
		rank   int
	}{{"scoring", 0, 0}, {"LoRA 8, dropout 0.1", train.Adapter | train.Head, 8}, {"all weights, dropout 0.1", train.Base | train.Head, 0}} {
		c := Case{Name: v.name, Config: own, Trains: v.trains, Rank: v.rank, Rows: rows, Length: length, Threads: threads, Repeats: repeats}
		if v.trains != 0 {
			c.Dropout = 0.1
		}
		r, err := c.compare(ctx, folder)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %s: %w", path, v.name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// ownShape is a RoBERTa of an export's sizes, read off its weights and its attention.
func ownShape(f *models.Folder) (models.Config, error) {
	tables := func(name string) []int { return f.Tensors["roberta."+name+".weight"].Shape }
	words, positions := tables("embeddings.word_embeddings"), tables("embeddings.position_embeddings")
	inner := tables("encoder.layer.0.intermediate.dense")
	heads, err := headsOf(f.Architecture)
	if words == nil || positions == nil || inner == nil || err != nil {
		return models.Config{}, fmt.Errorf("it is no RoBERTa whose sizes can be read off (%v)", err)
	}
	layers := 0
	for name := range f.Tensors {
		if strings.HasSuffix(name, ".intermediate.dense.weight") {
			layers++
		}
	}
	c := roberta(words[1], layers, heads, inner[0])
	c.VocabSize, c.MaxPositionEmbeddings = words[0], positions[0]
	return c, c.Check()
}

// headsOf is the second dimension of attention's probabilities.
func headsOf(a models.Architecture) (int, error) {
	graph, err := a.Forward(models.Dropout{})
	if err != nil {
		return 0, err
	}
	info, err := onnx.Infer(graph)
	if err != nil {
		return 0, err
	}
	for _, n := range graph.Graph.Nodes {
		if shape := info[n.Output(0)].Shape; n.Op == "Softmax" && len(shape) == 4 && shape[1].Size > 0 {
			return int(shape[1].Size), nil
		}
	}
	return 0, fmt.Errorf("no attention is to be seen")
}

func (c Case) compare(ctx context.Context, export *models.Folder) (*Comparison, error) {
	own, err := c.prepare(ctx)
	if err != nil {
		return nil, err
	}
	defer own.close()
	theirs, err := c.prepareOf(ctx, export.Architecture, export.Tensors.Clone())
	if err != nil {
		return nil, err
	}
	defer theirs.close()
	var a, b, ratios []float64
	for i := range c.Repeats + 1 {
		before, err := timed(own.turn)
		if err != nil {
			return nil, err
		}
		took, err := timed(theirs.turn)
		if err != nil {
			return nil, err
		}
		after, err := timed(own.turn)
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first run lays out memory
			beside := (before + after) / 2
			a, b, ratios = append(a, took), append(b, beside), append(ratios, took/beside)
		}
	}
	return &Comparison{Case: c.Name, Export: quantile(a, 0.5), Own: quantile(b, 0.5), Ratio: quantile(ratios, 0.5), Low: quantile(ratios, 0.25),
		High: quantile(ratios, 0.75), Rows: c.Rows, Length: c.Length, Layers: c.Config.NumHiddenLayers, Hidden: c.Config.HiddenSize}, nil
}

// timed is how long a turn takes, in seconds.
func timed(turn func() error) (float64, error) {
	start := time.Now()
	err := turn()
	return time.Since(start).Seconds(), err
}
