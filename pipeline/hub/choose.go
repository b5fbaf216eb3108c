package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"metalora/pipeline/confined"
)

// always are the files of a model that are read beside its weights: of the model, of its tokenizer, of a PEFT adapter.
var always = []string{
	"config.json", "adapter_config.json",
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"vocab.json", "merges.txt", "vocab.txt", "sentencepiece.bpe.model",
}

const (
	wholeFile = "model.safetensors"
	indexFile = "model.safetensors.index.json"
	adapter   = "adapter_model.safetensors"
)

var shardForm = regexp.MustCompile(`^model-\d{5}-of-\d{5}\.safetensors$`)

// wanted tells whether metalora ever reads a file of that name.
func wanted(name string) bool {
	return slices.Contains(always, name) || name == wholeFile || name == indexFile || name == adapter || shardForm.MatchString(name)
}

// choose picks of a model's files those that are read; one file of weights is preferred to shards. The error says what
// keeps the model from being used.
func choose(names []string) ([]string, error) {
	has := func(name string) bool { return slices.Contains(names, name) }
	var chosen []string
	for _, name := range names {
		isShard := name == indexFile || shardForm.MatchString(name)
		if wanted(name) && !(isShard && has(wholeFile)) {
			chosen = append(chosen, name)
		}
	}
	slices.Sort(chosen)
	switch {
	case has("adapter_config.json") && has(adapter):
		return chosen, nil
	case !has("config.json"):
		return nil, errors.New("it has no config.json: no model in Hugging Face's format")
	case has(wholeFile), has(indexFile):
		return chosen, nil
	}
	return nil, noSafetensors(names)
}

// noSafetensors says in what form the weights are there, and what makes them readable.
func noSafetensors(names []string) error {
	for _, name := range names {
		switch base := path.Base(name); {
		case strings.HasPrefix(base, "pytorch_model") && strings.HasSuffix(base, ".bin"):
			return errors.New(`its weights are there only as PyTorch's .bin, which is a program that reading would run; in Python, ` +
				`AutoModelForSequenceClassification.from_pretrained(NAME).save_pretrained(DIR) writes a folder with safetensors`)
		case strings.HasSuffix(base, ".onnx"):
			return fmt.Errorf("its weights are there only as %s; download that file and give its path", name)
		}
	}
	return errors.New("it has no model.safetensors")
}

// Bounds of an index, as models has them.
const (
	maxIndex        = 16 << 20
	maxIndexEntries = 150_000
)

// index is the part of a shard index that says where tensors are.
type index struct {
	Files map[string]string `json:"weight_map"`
}

// shardsThere tells whether all shards that a snapshot's index names are in it.
func shardsThere(dir string, files []string) error {
	if !slices.Contains(files, indexFile) {
		return nil
	}
	data, err := confined.ReadIn(dir, indexFile, maxIndex)
	var i index
	if err == nil {
		err = confined.CheckJSON(data, maxIndexEntries)
	}
	if err == nil {
		err = json.Unmarshal(data, &i)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", indexFile, err)
	}
	for _, shard := range i.Files {
		if !slices.Contains(files, shard) {
			return fmt.Errorf("the shard %q is missing", shard)
		}
	}
	return nil
}
