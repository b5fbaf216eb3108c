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
// merged weights are compared with the adapter in place; the largest difference of a logit is returned.
func MergeAdapter(ctx context.Context, model, adapter, out string) (difference float64, err error) {
	if err := free(out); err != nil {
		return 0, err
	}
	base, err := loadModel(model)
	if err != nil {
		return 0, fault.Input(err)
	}
	a, sites, err := loadAdapter(adapter, base.Architecture)
	if err != nil {
		return 0, fault.Input(err)
	}
	tensors, err := adapters.Merge(base.Tensors, a)
	if err != nil {
		return 0, fault.Input(fmt.Errorf("merging %s into %s: %w", adapter, model, err))
	}
	e := &exporting{base: base, adapter: a, sites: sites, tensors: tensors}
	if models.HasHead(base.Architecture, tensors) { // else there are no logits to compare
		if difference, err = e.compareMerged(ctx); err != nil {
			return 0, fmt.Errorf("checking the merged weights: %w", err)
		}
	}
	return difference, base.Architecture.Save(out, tensors, base.Dir)
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
