package models

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Bounds of what a configuration can ask for. They lie far beyond every encoder there is and keep a hostile file from
// taking the machine's memory before its first tensor is compared.
const (
	maxSize       = math.MaxInt32
	maxLayers     = 1000
	maxLabels     = 1 << 20
	maxParameters = 1 << 38 // 1 TB of float32
)

// Check reports the first field that is impossible, or that stands for an architecture which is not supported.
func (c Config) Check() error {
	for _, step := range []func() error{c.checkKind, c.checkSizes, c.checkTokens, c.checkRates, c.checkTotal} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) checkKind() error {
	switch {
	case c.family().class == "":
		return fmt.Errorf("model_type %q is not supported, want one of %q", c.ModelType, Families())
	case activations[c.HiddenAct].op == "":
		return fmt.Errorf("%s %q is not supported, want one of %q", c.fieldName("hidden_act"), c.HiddenAct, slices.Sorted(maps.Keys(activations)))
	case c.PositionEmbeddingType != "absolute":
		return fmt.Errorf("position_embedding_type %q is not supported, want \"absolute\"", c.PositionEmbeddingType)
	case c.IsDecoder:
		return fmt.Errorf("is_decoder true is not supported, the model has to be an encoder")
	case c.AddCrossAttention:
		return fmt.Errorf("add_cross_attention true is not supported, the model has to be an encoder")
	}
	return c.checkUnread()
}

// checkUnread refuses fields that change what a model computes in a way that is not built here.
func (c Config) checkUnread() error {
	for _, name := range []string{"sinusoidal_pos_embds", "pruned_heads"} {
		if raw, ok := c.fields[name]; ok && !slices.Contains([]string{"false", "{}", "null"}, string(raw)) {
			return fmt.Errorf("%s %s is not supported", name, raw)
		}
	}
	return nil
}

func (c Config) checkSizes() error {
	for _, f := range []struct {
		name      string
		size, max int
	}{
		{"vocab_size", c.VocabSize, maxSize},
		{"hidden_size", c.HiddenSize, maxSize},
		{"num_hidden_layers", c.NumHiddenLayers, maxLayers},
		{"num_attention_heads", c.NumAttentionHeads, maxSize},
		{"intermediate_size", c.IntermediateSize, maxSize},
		{"max_position_embeddings", c.MaxPositionEmbeddings, maxSize},
		{"type_vocab_size", c.TypeVocabSize, maxSize},
		{"id2label or num_labels", c.NumLabels, maxLabels},
	} {
		if f.size < 1 || f.size > f.max {
			return fmt.Errorf("%s is %d, want 1 to %d", c.fieldName(f.name), f.size, f.max)
		}
	}
	if c.HiddenSize%c.NumAttentionHeads != 0 {
		return fmt.Errorf("%s %d is no multiple of %s %d", c.fieldName("hidden_size"), c.HiddenSize, c.fieldName("num_attention_heads"), c.NumAttentionHeads)
	}
	return nil
}

func (c Config) checkTokens() error {
	for _, f := range []struct {
		name string
		id   int
	}{{"pad_token_id", c.PadTokenID}, {"bos_token_id", c.BosTokenID}, {"eos_token_id", c.EosTokenID}} {
		if f.id < 0 || f.id >= c.VocabSize {
			return fmt.Errorf("%s %d is outside the vocabulary of %d", f.name, f.id, c.VocabSize)
		}
	}
	if c.Limits().Length < 1 {
		return fmt.Errorf("max_position_embeddings %d leaves no position beyond pad_token_id %d", c.MaxPositionEmbeddings, c.PadTokenID)
	}
	return nil
}

func (c Config) checkRates() error {
	type rate struct {
		name  string
		value float64
	}
	rates := []rate{{"hidden_dropout_prob", c.HiddenDropoutProb}, {"attention_probs_dropout_prob", c.AttentionProbsDropoutProb}}
	if c.ClassifierDropout != nil {
		rates = append(rates, rate{"classifier_dropout", *c.ClassifierDropout})
	}
	for _, r := range rates {
		if !(r.value >= 0 && r.value < 1) {
			return fmt.Errorf("%s is %v, want at least 0 and less than 1", c.fieldName(r.name), r.value)
		}
	}
	if !(c.LayerNormEps > 0 && c.LayerNormEps < 1) {
		return fmt.Errorf("layer_norm_eps is %v, want more than 0 and less than 1", c.LayerNormEps)
	}
	if !(c.InitializerRange >= 0 && c.InitializerRange < math.MaxFloat32) {
		return fmt.Errorf("initializer_range is %v, want a standard deviation", c.InitializerRange)
	}
	return nil
}

// checkTotal adds up in float64, where sizes that are possible one by one cannot overflow.
func (c Config) checkTotal() error {
	hidden := float64(c.HiddenSize)
	rows := float64(c.VocabSize) + float64(c.MaxPositionEmbeddings) + float64(c.TypeVocabSize) + float64(c.NumLabels)
	layer := 4*hidden + 2*float64(c.IntermediateSize)
	if total := hidden * (rows + hidden + float64(c.NumHiddenLayers)*layer); total > maxParameters {
		return fmt.Errorf("hidden_size: the sizes make %.3g parameters, want at most %.3g", total, float64(maxParameters))
	}
	return nil
}

// Limits says what may be fed.
func (c Config) Limits() Limits {
	l := Limits{Vocabulary: c.VocabSize, Pad: c.PadTokenID, Length: c.MaxPositionEmbeddings}
	if c.family().padded {
		l.Length, l.FreePads = c.MaxPositionEmbeddings-c.PadTokenID-1, true
	}
	if c.family().segments {
		l.Segments = c.TypeVocabSize
	}
	return l
}

// HeadDropout is the rate in the classification head.
func (c Config) HeadDropout() float64 {
	if c.ClassifierDropout != nil {
		return *c.ClassifierDropout
	}
	return c.HiddenDropoutProb
}
