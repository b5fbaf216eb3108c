package pipeline

import (
	"context"
	"fmt"

	"metalora/models"
	"metalora/onnx/ort"
	"metalora/pipeline/fault"
	"metalora/pipeline/train"
	"metalora/tokenize"
)

// Scorer is a model ready to give logits.
type Scorer struct {
	Notes []string // what a person should know of the adapter

	limits models.Limits
	engine *train.Engine
	set    *train.Set
}

// OpenScorer loads a model folder and, where adapterDir is not empty, a PEFT adapter onto it. A model without a head is
// an input error: fresh random weights would only look like an answer.
func OpenScorer(modelDir, adapterDir string, threads int, device ort.Device) (*Scorer, error) {
	if err := ready(device); err != nil {
		return nil, err
	}
	base, err := loadModel(modelDir)
	if err != nil {
		return nil, fault.Input(err)
	}
	spec := train.Spec{Architecture: base.Architecture, Threads: threads, Device: device}
	parents := newParentage(base)
	tensors, hasHead := base.Tensors, base.HasHead
	if adapterDir != "" {
		places, err := bearers(base.Architecture)
		if err != nil {
			return nil, fault.Input(err)
		}
		own, err := loadOwn(adapterDir, parents, places)
		if err != nil {
			return nil, fault.Input(err)
		}
		spec.Sites = own.Sites
		tensors = merged(tensors, own.Tensors)
		hasHead = models.HasHead(base.Architecture, tensors)
	}
	if !hasHead {
		return nil, fault.Input(fmt.Errorf("loading %s: it has no classification head (classifier.*), and no adapter brings one", modelDir))
	}
	s, err := newScorer(base.Architecture, spec, tensors)
	if err == nil {
		s.Notes = parents.notes
	}
	return s, err
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
