package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// tokenizerFile is the part of Hugging Face's tokenizer.json that decides ids. Left out: truncation and padding, which
// [Tokenizer.Turn] does itself, and the post-processor, whose pair form is not the experiment's.
type tokenizerFile struct {
	AddedTokens []struct {
		ID      int    `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
	} `json:"added_tokens"`
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer struct {
		Type           string `json:"type"`
		AddPrefixSpace bool   `json:"add_prefix_space"`
		UseRegex       *bool  `json:"use_regex"`
	} `json:"pre_tokenizer"`
	Model struct {
		Type         string          `json:"type"`
		Dropout      float64         `json:"dropout"`
		Prefix       string          `json:"continuing_subword_prefix"`
		Suffix       string          `json:"end_of_word_suffix"`
		ByteFallback bool            `json:"byte_fallback"`
		IgnoreMerges bool            `json:"ignore_merges"`
		Vocabulary   json.RawMessage `json:"vocab"`
		Merges       []jsonMerge     `json:"merges"`
	} `json:"model"`
}

// jsonMerge is "left right" in older files and ["left", "right"] in newer ones.
type jsonMerge [2]string

func (m *jsonMerge) UnmarshalJSON(data []byte) error {
	var parts []string
	if err := json.Unmarshal(data, &parts); err == nil {
		if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
			return fmt.Errorf("%.80s is no pair of tokens", data)
		}
		*m = jsonMerge{parts[0], parts[1]}
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("%.80s is no merge", data)
	}
	pair, err := parseMerge(text)
	*m = pair
	return err
}

// parseTokenizer reads tokenizer.json. What would give other ids than ours is refused by name.
func parseTokenizer(data []byte) (*Vocabulary, error) {
	var file tokenizerFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, located(data, err)
	}
	if what := file.unsupported(); what != "" {
		return nil, fmt.Errorf("%s is not supported: only byte-level BPE as GPT-2 and RoBERTa have it", what)
	}
	ids, err := parseVocabulary(file.Model.Vocabulary)
	if err != nil {
		return nil, fmt.Errorf("model.vocab, counted from its brace: %w", err)
	}
	v := &Vocabulary{IDs: ids}
	for _, m := range file.Model.Merges {
		v.Merges = append(v.Merges, m)
	}
	for i, added := range file.AddedTokens {
		if !added.Special {
			return nil, fmt.Errorf("added_tokens, entry %d: %q is not a special token: cutting such words out of a text is not supported", i+1, added.Content)
		}
		if id, ok := ids[added.Content]; ok && id != added.ID {
			return nil, fmt.Errorf("added_tokens, entry %d: %q has the id %d, in model.vocab it is %d", i+1, added.Content, added.ID, id)
		}
		ids[added.Content] = added.ID
	}
	return v, nil
}

// unsupported names the first setting that asks for another kind of tokenizer; "" where there is none.
func (f *tokenizerFile) unsupported() string {
	m, p := f.Model, f.PreTokenizer
	switch {
	case m.Type != "" && m.Type != "BPE":
		return fmt.Sprintf("model type %q", m.Type)
	case len(m.Vocabulary) == 0:
		return "a model without vocab"
	case len(f.Normalizer) > 0 && !bytes.Equal(f.Normalizer, []byte("null")):
		return fmt.Sprintf("normalizer %.80s", f.Normalizer)
	case p.Type != "ByteLevel":
		return fmt.Sprintf("pre_tokenizer type %q", p.Type)
	case p.AddPrefixSpace:
		return "pre_tokenizer.add_prefix_space"
	case p.UseRegex != nil && !*p.UseRegex:
		return "pre_tokenizer.use_regex: false"
	case m.Dropout != 0:
		return "model.dropout"
	case m.Prefix != "" || m.Suffix != "":
		return "a prefix or suffix of subwords"
	case m.ByteFallback:
		return "model.byte_fallback"
	case m.IgnoreMerges:
		return "model.ignore_merges"
	}
	return ""
}
