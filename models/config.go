package models

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
)

// Config has the fields of a config.json that decide what a model computes. Fields it does not know are kept as they
// are read and written again.
type Config struct {
	ModelType             string
	VocabSize             int
	HiddenSize            int
	NumHiddenLayers       int
	NumAttentionHeads     int
	IntermediateSize      int
	MaxPositionEmbeddings int
	TypeVocabSize         int
	LayerNormEps          float64
	PadTokenID            int
	BosTokenID            int
	EosTokenID            int

	HiddenDropoutProb         float64
	AttentionProbsDropoutProb float64
	ClassifierDropout         *float64 // nil: as HiddenDropoutProb
	HiddenAct                 string
	PositionEmbeddingType     string
	InitializerRange          float64 // standard deviation of a weight drawn at the start
	IsDecoder                 bool
	AddCrossAttention         bool

	NumLabels int // stored as id2label, or num_labels, or not at all where it is 2

	fields map[string]json.RawMessage // of the file it was read from
}

// DefaultConfig is what Hugging Face takes for the fields that a config.json of RoBERTa leaves out.
func DefaultConfig() Config { return defaults("roberta") }

// FamilyConfig is what Hugging Face takes where a config.json names a family, a model_type, and nothing else. A family that is not
// known is Check's to refuse.
func FamilyConfig(modelType string) Config { return defaults(modelType) }

// Families lists the model_types that can be a base.
func Families() []string { return slices.Sorted(maps.Keys(families)) }

// defaults are those of a model_type, which Check judges.
func defaults(modelType string) Config {
	c := Config{
		ModelType: modelType, VocabSize: 50265, HiddenSize: 768, NumHiddenLayers: 12, NumAttentionHeads: 12,
		IntermediateSize: 3072, MaxPositionEmbeddings: 512, TypeVocabSize: 2, LayerNormEps: 1e-12,
		PadTokenID: 1, BosTokenID: 0, EosTokenID: 2, HiddenDropoutProb: 0.1, AttentionProbsDropoutProb: 0.1,
		HiddenAct: "gelu", PositionEmbeddingType: "absolute", InitializerRange: 0.02, NumLabels: 2,
	}
	if set := c.family().defaults; set != nil {
		set(&c)
	}
	return c
}

type field struct {
	name  string
	value any // a pointer into the Config
}

// fieldName is what the family calls a field of BERT's config.json; "" where it has no such field.
func (c Config) fieldName(name string) string {
	if own, ok := c.family().renamed[name]; ok {
		return own
	}
	return name
}

// known pairs the fields of the file with those of c; id2label and num_labels are read apart.
func (c *Config) known() []field {
	all := []field{
		{"model_type", &c.ModelType}, {"vocab_size", &c.VocabSize}, {"hidden_size", &c.HiddenSize},
		{"num_hidden_layers", &c.NumHiddenLayers}, {"num_attention_heads", &c.NumAttentionHeads},
		{"intermediate_size", &c.IntermediateSize}, {"max_position_embeddings", &c.MaxPositionEmbeddings},
		{"type_vocab_size", &c.TypeVocabSize}, {"layer_norm_eps", &c.LayerNormEps},
		{"pad_token_id", &c.PadTokenID}, {"bos_token_id", &c.BosTokenID}, {"eos_token_id", &c.EosTokenID},
		{"hidden_dropout_prob", &c.HiddenDropoutProb},
		{"attention_probs_dropout_prob", &c.AttentionProbsDropoutProb},
		{"classifier_dropout", &c.ClassifierDropout}, {"hidden_act", &c.HiddenAct},
		{"position_embedding_type", &c.PositionEmbeddingType}, {"initializer_range", &c.InitializerRange},
		{"is_decoder", &c.IsDecoder}, {"add_cross_attention", &c.AddCrossAttention},
	}
	var own []field
	for _, f := range all {
		if f.name = c.fieldName(f.name); f.name != "" {
			own = append(own, f)
		}
	}
	return own
}

// UnmarshalJSON reads a config.json; fields that it lacks get the values that Hugging Face takes. The result is not
// checked.
func (c *Config) UnmarshalJSON(data []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	if fields == nil {
		return errors.New("found null where an object is due")
	}
	modelType := "roberta"
	if raw, ok := fields["model_type"]; ok {
		if err := json.Unmarshal(raw, &modelType); err != nil {
			return fmt.Errorf("model_type: %w", err)
		}
	}
	*c = defaults(modelType)
	c.fields = fields
	for _, f := range c.known() {
		raw, ok := fields[f.name]
		if !ok {
			continue
		}
		if string(raw) == "null" && f.name != "classifier_dropout" {
			return fmt.Errorf("%s: found null", f.name)
		}
		if err := json.Unmarshal(raw, f.value); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return c.readLabels()
}

func (c *Config) readLabels() error {
	if raw, ok := c.fields["id2label"]; ok && string(raw) != "null" {
		var labels map[string]json.RawMessage
		if err := json.Unmarshal(raw, &labels); err != nil {
			return fmt.Errorf("id2label: %w", err)
		}
		c.NumLabels = len(labels)
		return nil
	}
	if raw, ok := c.fields["num_labels"]; ok && string(raw) != "null" {
		if err := json.Unmarshal(raw, &c.NumLabels); err != nil {
			return fmt.Errorf("num_labels: %w", err)
		}
	}
	return nil
}

// MarshalJSON writes the fields that were read, with the values they have now.
func (c Config) MarshalJSON() ([]byte, error) {
	fields := maps.Clone(c.fields)
	if fields == nil {
		fields = map[string]json.RawMessage{}
	}
	for _, f := range c.known() {
		raw, err := json.Marshal(f.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		fields[f.name] = raw
	}
	before := Config{fields: fields, NumLabels: 2}
	if err := before.readLabels(); err != nil || before.NumLabels != c.NumLabels {
		maps.Copy(fields, labels(c.NumLabels))
		delete(fields, "num_labels")
	}
	return json.Marshal(fields)
}

// labels names n labels the way Hugging Face does where nobody else has.
func labels(n int) map[string]json.RawMessage {
	names, numbers := map[string]string{}, map[string]int{}
	for i := range n {
		names[fmt.Sprint(i)] = fmt.Sprintf("LABEL_%d", i)
		numbers[fmt.Sprintf("LABEL_%d", i)] = i
	}
	id2label, _ := json.Marshal(names) // maps of strings and ints always marshal
	label2id, _ := json.Marshal(numbers)
	return map[string]json.RawMessage{"id2label": id2label, "label2id": label2id}
}

// set changes a field that [Config] does not know.
func (c *Config) set(name string, value any) {
	raw, _ := json.Marshal(value) // only strings and lists of them come here
	c.fields = maps.Clone(c.fields)
	if c.fields == nil {
		c.fields = map[string]json.RawMessage{}
	}
	c.fields[name] = raw
}

// Bounds of a config.json; one with the names of 20,000 labels has 1.5 MB.
const (
	maxConfig        = 4 << 20
	maxConfigEntries = 100_000
)

// ReadConfig reads a config.json and checks it. No link leads out of its folder.
func ReadConfig(path string) (Config, error) {
	data, err := confined.ReadIn(filepath.Dir(path), filepath.Base(path), maxConfig)
	if err != nil {
		return Config{}, fmt.Errorf("reading the model's configuration: %w", err)
	}
	c, err := parseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, nil
}

func parseConfig(data []byte) (Config, error) {
	var c Config
	if err := confined.CheckJSON(data, maxConfigEntries); err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, err
	}
	return c, c.Check()
}

// WriteFile writes a config.json, sorted and indented as Hugging Face does.
func (c Config) WriteFile(path string) error {
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return disk.Replace(path, func(w io.Writer) error {
		var out bytes.Buffer
		if err := json.Indent(&out, data, "", "  "); err != nil {
			return err
		}
		out.WriteByte('\n')
		_, err := out.WriteTo(w)
		return err
	})
}
