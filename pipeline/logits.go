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
	Config models.Config
	engine *train.Engine
	set    *train.Set
}

// OpenScorer loads a model folder and, where adapterDir is not empty, a PEFT adapter onto it. A model without a head is
// an input error: fresh random weights would only look like an answer.
func OpenScorer(modelDir, adapterDir string, threads int) (*Scorer, error) {
	base, err := models.Load(modelDir)
	if err != nil {
		return nil, fault.Input(err)
	}
	spec := train.Spec{Config: base.Config, Threads: threads}
	tensors, hasHead := base.Tensors, base.HasHead
	if adapterDir != "" {
		adapter, sites, err := loadAdapter(adapterDir, base.Config)
		if err != nil {
			return nil, fault.Input(err)
		}
		spec.Sites = sites
		tensors = merged(tensors, adapter)
		_, head := split(adapter)
		hasHead = hasHead || len(head) > 0
	}
	if !hasHead {
		return nil, fault.Input(fmt.Errorf("loading %s: it has no classification head (classifier.*), and no adapter brings one", modelDir))
	}
	s := &Scorer{Config: base.Config}
	if s.engine, err = train.NewEngine(spec); err != nil {
		return nil, err
	}
	if s.set, err = train.NewSet(tensors, nil); err != nil {
		s.engine.Close()
		return nil, err
	}
	return s, nil
}

// loadAdapter reads a PEFT adapter and fits it to a model: its pairs to the linear layers, its head to the model's shapes.
func loadAdapter(dir string, cfg models.Config) (safetensors.Tensors, []adapters.Site, error) {
	a, err := adapters.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	sites, err := a.Sites(adapters.Linears(models.Forward(cfg, models.Dropout{})))
	if err != nil {
		return nil, nil, fmt.Errorf("loading adapter %s: %w", dir, err)
	}
	for _, p := range cfg.Parameters() {
		if t, ok := a.Tensors[p.Name]; ok && !slices.Equal(t.Shape, p.Shape) {
			return nil, nil, fmt.Errorf("loading adapter %s: tensor %s has shape %v, the base's is %v", dir, p.Name, t.Shape, p.Shape)
		}
	}
	return a.Tensors, sites, nil
}

// Logits runs one row of token ids, every id under mask 1.
func (s *Scorer) Logits(ctx context.Context, ids []int) ([]float32, error) {
	if err := s.check(ids); err != nil {
		return nil, fault.Input(err)
	}
	return s.engine.Logits(ctx, tokenize.NewBatch([][]int{ids}, s.Config.PadTokenID), s.set)
}

// check refuses ids that the model has no embedding for.
func (s *Scorer) check(ids []int) error {
	most := s.Config.MaxPositionEmbeddings - s.Config.PadTokenID - 1
	if len(ids) == 0 {
		return fmt.Errorf("a row without ids")
	}
	positions := 0
	for i, id := range ids {
		if id < 0 || id >= s.Config.VocabSize {
			return fmt.Errorf("id %d at %d is outside the vocabulary of %d", id, i, s.Config.VocabSize)
		}
		if id != s.Config.PadTokenID {
			positions++
		}
	}
	if positions > most {
		return fmt.Errorf("%d ids, and the model has %d positions", positions, most)
	}
	return nil
}

// Close ends the engine.
func (s *Scorer) Close() {
	s.set.Close()
	s.engine.Close()
}
