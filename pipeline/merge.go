package pipeline

import (
	"context"
	"fmt"

	"metalora/adapters"
	"metalora/models"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
)

// MergeAdapter writes a base with an adapter folded into its weights as a folder of its own, tokenizer included. Before, the
// merged weights are compared with the adapter in place.
func MergeAdapter(ctx context.Context, model, adapter, out string) (m Merged, err error) {
	if err := free(out); err != nil {
		return m, err
	}
	base, err := loadModel(model)
	if err != nil {
		return m, fault.Input(err)
	}
	parents := newParentage(base)
	a, sites, err := loadChild(adapter, parents)
	if err != nil {
		return m, fault.Input(err)
	}
	m.Notes = parents.notes
	tensors, err := adapters.Merge(base.Tensors, a)
	if err != nil {
		return m, fault.Input(fmt.Errorf("merging %s into %s: %w", adapter, model, err))
	}
	e := &exporting{base: base, adapter: a, sites: sites, tensors: tensors}
	if models.HasHead(base.Architecture, tensors) { // else there are no logits to compare
		if m.Difference, err = e.compareMerged(ctx); err != nil {
			return m, fmt.Errorf("checking the merged weights: %w", err)
		}
	}
	return m, base.Architecture.Save(out, tensors, base.Dir)
}

// Merged is what came of a merge.
type Merged struct {
	Difference float64  // the largest of a logit, between the adapter in place and the merged weights
	Notes      []string // what a person should know of the adapter
}

// compareMerged is the largest difference of a logit between the merged weights and the adapter behind its layers.
func (e *exporting) compareMerged(ctx context.Context) (difference float64, err error) {
	apart, err := e.own()
	if err != nil {
		return 0, err
	}
	defer apart.Close()
	together, err := newScorer(e.base.Architecture, train.Spec{Architecture: e.base.Architecture}, e.tensors)
	if err != nil {
		return 0, err
	}
	defer together.Close()
	for i, lengths := range checkBatches {
		batch := drawBatch(apart.limits, lengths, rng.New(uint64(i), "export"))
		want, err := apart.engine.Logits(ctx, batch, apart.set)
		if err != nil {
			return 0, err
		}
		got, err := together.engine.Logits(ctx, batch, together.set)
		if err != nil {
			return 0, err
		}
		d, err := differ(want, got)
		if err != nil {
			return 0, err
		}
		difference = max(difference, d)
	}
	return difference, nil
}
