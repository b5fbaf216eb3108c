package pipeline

import (
	"context"
	"fmt"
	"slices"

	"metalora/adapters"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/fault"
	"metalora/pipeline/train"
	"metalora/tokenize"
)

// Scorer is a model ready to give logits.
type Scorer struct {
	limits models.Limits
	engine *train.Engine
	set    *train.Set
}

// OpenScorer loads a model folder and, where adapterDir is not empty, a PEFT adapter onto it. A model without a head is
// an input error: fresh random weights would only look like an answer.
func OpenScorer(modelDir, adapterDir string, threads int) (*Scorer, error) {
	base, err := loadModel(modelDir)
	if err != nil {
		return nil, fault.Input(err)
	}
	spec := train.Spec{Architecture: base.Architecture, Threads: threads}
	tensors, hasHead := base.Tensors, base.HasHead
	if adapterDir != "" {
		adapter, sites, err := loadAdapter(adapterDir, base.Architecture)
		if err != nil {
			return nil, fault.Input(err)
		}
		spec.Sites = sites
		tensors = merged(tensors, adapter)
		hasHead = models.HasHead(base.Architecture, tensors)
	}
	if !hasHead {
		return nil, fault.Input(fmt.Errorf("loading %s: it has no classification head (classifier.*), and no adapter brings one", modelDir))
	}
	return newScorer(base.Architecture, spec, tensors)
}

// loadAdapter reads a PEFT adapter and fits it to a model: its pairs to the linear layers, its head to the model's shapes.
func loadAdapter(dir string, base models.Architecture) (safetensors.Tensors, []adapters.Site, error) {
	a, err := adapters.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	graph, err := base.Forward(models.Dropout{})
	if err != nil {
		return nil, nil, err
	}
	sites, err := a.Sites(adapters.Linears(graph))
	if err != nil {
		return nil, nil, fmt.Errorf("loading adapter %s: %w", dir, err)
	}
	for _, p := range base.Parameters() {
		if t, ok := a.Tensors[p.Name]; ok && !slices.Equal(t.Shape, p.Shape) {
			return nil, nil, fmt.Errorf("loading adapter %s: tensor %s has shape %v, the base's is %v", dir, p.Name, t.Shape, p.Shape)
		}
	}
	return a.Tensors, sites, nil
}

// Logits runs one row of token ids, every id under mask 1. types are the ids' segments; nil: all 0.
func (s *Scorer) Logits(ctx context.Context, ids, types []int) ([]float32, error) {
	if err := s.limits.Check(ids, types); err != nil {
		return nil, fault.Input(err)
	}
	batch := tokenize.NewBatch([][]int{ids}, s.limits.Pad)
	for i, segment := range types {
		batch.Types[i] = int64(segment)
	}
	return s.engine.Logits(ctx, batch, s.set)
}

// Close ends the engine.
func (s *Scorer) Close() {
	s.set.Close()
	s.engine.Close()
}
