package tokenize

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"metalora/pipeline/disk"
)

// WriteFiles writes vocab.json, merges.txt, special_tokens_map.json and tokenizer_config.json into a folder, which is
// made where it is missing. Load and Hugging Face's RobertaTokenizer read them. Each file appears whole.
func (v *Vocabulary) WriteFiles(dir string) error {
	if _, err := New(v); err != nil {
		return fmt.Errorf("writing tokenizer %s: %w", dir, err)
	}
	if err := disk.MkdirAll(dir); err != nil {
		return fmt.Errorf("writing tokenizer: %w", err)
	}
	for _, file := range []struct {
		name string
		data []byte
	}{
		{vocabularyFile, v.vocabularyJSON()},
		{mergesFile, v.mergesText()},
		{specialFile, v.specialJSON(nil)},
		{configFile, v.specialJSON(map[string]any{"add_prefix_space": false, "errors": "replace", "model_max_length": 512, "tokenizer_class": "RobertaTokenizer"})},
	} {
		if err := disk.WriteFile(filepath.Join(dir, file.name), file.data); err != nil {
			return fmt.Errorf("writing tokenizer: %w", err)
		}
	}
	return nil
}

// vocabularyJSON is {"token":id,…} in the order of ids.
func (v *Vocabulary) vocabularyJSON() []byte {
	tokens := slices.SortedFunc(maps.Keys(v.IDs), func(a, b string) int { return cmp.Compare(v.IDs[a], v.IDs[b]) })
	var out bytes.Buffer
	for i, token := range tokens {
		out.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(&out, "%s:%d", encodeJSON(token), v.IDs[token])
	}
	out.WriteByte('}')
	return out.Bytes()
}

func (v *Vocabulary) mergesText() []byte {
	var out strings.Builder
	out.WriteString("#version: 0.2\n")
	for _, m := range v.Merges {
		out.WriteString(m[0] + " " + m[1] + "\n")
	}
	return []byte(out.String())
}

// specialJSON is the special tokens under Hugging Face's names, among further settings.
func (v *Vocabulary) specialJSON(settings map[string]any) []byte {
	s := v.Special
	all := map[string]any{
		"bos_token": s.Start, "cls_token": s.Start, "eos_token": s.End, "sep_token": s.End, "pad_token": s.Pad, "unk_token": s.Unknown,
		// RoBERTa's mask swallows the blanks before it.
		"mask_token": map[string]any{"content": s.Mask, "lstrip": true, "normalized": false, "rstrip": false, "single_word": false},
	}
	maps.Copy(all, settings)
	return encodeJSON(all)
}

// encodeJSON leaves <, > and & as they are, as Python does. It is only given strings, numbers and maps of them.
func encodeJSON(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}
