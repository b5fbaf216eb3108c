package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"metalora/adapters"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/onnx"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
	"metalora/tokenize"
)

// loadBase reads or initialises the weights that a retraining starts from.
func loadBase(c *Config, t *tokenize.Tokenizer, seed int) (*models.Folder, error) {
	if c.Model.Init == nil {
		folder, err := loadModel(c.Model.Path)
		if err != nil {
			return nil, fault.Input(fmt.Errorf("loading the model: %w", err))
		}
		return folder, c.checkBase(folder.Architecture, t)
	}
	cfg := initConfig(c, t)
	if err := errors.Join(cfg.Check(), checkTokenizer(cfg.Limits(), t, "model.init")); err != nil {
		return nil, fault.Usage(fmt.Errorf("model.init: %w", err))
	}
	tensors := models.Initialise(cfg, rng.New(uint64(seed), "init"))
	return &models.Folder{Architecture: cfg, Tensors: tensors, HasHead: true}, nil
}

// initConfig is a base of the configured shape for a tokenizer.
func initConfig(c *Config, t *tokenize.Tokenizer) models.Config {
	cfg := c.Model.Init.shape()
	if c.Model.Init.Vocabulary == 0 {
		cfg.VocabSize = t.Size()
	}
	cfg.PadTokenID = t.PadID()
	return cfg
}

// shape is a model of the family and of these sizes, with the family's own vocabulary where none is given.
func (i *Init) shape() models.Config {
	cfg := models.FamilyConfig(i.Family)
	if cfg.Limits().FreePads {
		cfg.TypeVocabSize, cfg.LayerNormEps = 1, 1e-5 // as every published RoBERTa and XLM-R has them
	}
	cfg.HiddenSize, cfg.NumHiddenLayers, cfg.NumAttentionHeads = i.Hidden, i.Layers, i.Heads
	cfg.IntermediateSize, cfg.MaxPositionEmbeddings = i.Intermediate, i.Positions
	if i.Vocabulary > 0 {
		cfg.VocabSize = i.Vocabulary
	}
	return cfg
}

// architecture is the base's, as far as it is known without its weights and tokenizer.
func (c *Config) architecture() (models.Architecture, error) {
	i := c.Model.Init
	if i == nil {
		return readArchitecture(c.Model.Path)
	}
	shape := i.shape()
	if i.Vocabulary == 0 && c.Synthetic != nil {
		shape.VocabSize = c.Synthetic.Vocabulary
	}
	return shape, nil
}

// checkRanks refuses adapters that the base is too narrow for, or that would sit nowhere on it.
func (c *Config) checkRanks() error {
	base, err := c.architecture()
	if err != nil {
		return nil // loading it will say what is wrong
	}
	for _, list := range []struct {
		key   string
		names []string
		parse func(string) (Variant, error)
		lora  LoRA
	}{{"retrain.methods", c.Retrain.Methods, ParseMethod, c.Retrain.LoRA}, {"adapt.families", c.Adapt.Families, ParseFamily, c.Adapt.LoRA}} {
		for _, name := range list.names {
			v, err := list.parse(name)
			if err != nil || v.Rank == 0 {
				continue
			}
			if _, err := sites(base, list.lora.lora(v.Rank)); fault.Code(err) == fault.CodeUsage {
				return c.Problem(list.key, "%s: %v", name, err)
			}
		}
	}
	return nil
}

// checkBase refuses a base that does not go with the tokenizer, or whose graph does not show where the dropout asked for
// belongs.
func (c *Config) checkBase(a models.Architecture, t *tokenize.Tokenizer) error {
	if _, err := a.Forward(c.dropout()); err != nil {
		return fault.Usage(fmt.Errorf("%s: %w", c.Model.Path, err))
	}
	return checkTokenizer(a.Limits(), t, c.Model.Path)
}

// checkTokenizer tells whether a model has embeddings for all that a tokenizer gives.
func checkTokenizer(l models.Limits, t *tokenize.Tokenizer, where string) error {
	if rows := l.Vocabulary; t.Size() > rows {
		return fault.Input(fmt.Errorf("%s: %d word embeddings are too few for the tokenizer's %d ids", where, rows, t.Size()))
	}
	if most := l.Segments; most > 0 && t.Segments() > most {
		return fault.Input(fmt.Errorf("%s: %d kinds of segment are too few for the tokenizer's %d", where, most, t.Segments()))
	}
	return nil
}

// maxTokens is how many tokens a pair may have: what the configuration says, within the model's positions.
func maxTokens(c *Config, a models.Architecture) int {
	most := a.Limits().Length
	if c.Data.MaxLength > 0 {
		most = min(most, c.Data.MaxLength)
	}
	return most
}

// merged joins sets of tensors of different names.
func merged(sets ...safetensors.Tensors) safetensors.Tensors {
	all := safetensors.Tensors{}
	for _, s := range sets {
		maps.Copy(all, s)
	}
	return all
}

// freshHead draws a head for a base. A pooler that the base brings is part of the head, and starts as it is.
func freshHead(base *models.Folder, s *rng.Stream) safetensors.Tensors {
	return merged(models.FreshHead(base.Architecture, s), models.Poolers(base.Architecture, base.Tensors))
}

// linears are those linear layers of a model's graph that may bear an adapter. In a graph that numbers no layers, nothing but its
// structure tells the head's.
func linears(a models.Architecture, graph *onnx.Model) []adapters.Linear {
	all := adapters.Linears(graph)
	if adapters.Numbered(all) {
		return all
	}
	head := map[string]bool{}
	for _, p := range a.Parameters() {
		head[p.Name] = p.Head
	}
	return slices.DeleteFunc(all, func(x adapters.Linear) bool { return head[x.Name+".weight"] })
}

// headModules are the modules of a model's head, which an adapter brings whole: of an export, names need not tell them.
func headModules(a models.Architecture) (modules []string) {
	for _, p := range a.Parameters() {
		if module, ok := strings.CutSuffix(p.Name, ".weight"); ok && p.Head {
			modules = append(modules, module)
		}
	}
	return modules
}

// sites says where LoRA sits in a model.
func sites(a models.Architecture, l adapters.LoRA) ([]adapters.Site, error) {
	graph, err := a.Forward(models.Dropout{})
	if err != nil {
		return nil, fault.Input(err)
	}
	found, err := l.Sites(linears(a, graph))
	if err != nil {
		return nil, fault.Usage(err)
	}
	for _, s := range found {
		if s.Rank > min(s.In, s.Out) {
			return nil, fault.Usage(fmt.Errorf("rank %d is above the width of %s [%d, %d]", s.Rank, s.Linear, s.Out, s.In))
		}
	}
	return found, nil
}

// lora is the configured LoRA of a rank.
func (l LoRA) lora(rank int) adapters.LoRA {
	return adapters.LoRA{Rank: rank, Alpha: l.Alpha, Dropout: l.Dropout, Targets: l.Targets}
}

// dropout is the model's own dropout in training.
func (c *Config) dropout() models.Dropout {
	p := c.Model.Dropout
	return models.Dropout{Hidden: p, Attention: p, Head: p}
}

func (o Optimizer) adamW() train.AdamW {
	return train.AdamW{Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon, WeightDecay: o.WeightDecay}
}

// snapshot copies what training goes on changing.
func snapshot(sets []safetensors.Tensors) []safetensors.Tensors {
	copies := slices.Clone(sets)
	for i := range copies {
		copies[i] = copies[i].Clone()
	}
	return copies
}
