package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"metalora/pipeline/confined"
)

// tokenizerFile is the part of Hugging Face's tokenizer.json that decides ids. Left out: truncation and padding, which
// [Tokenizer.Turn] does itself, and the post-processor, whose form of a pair is that of [Tokenizer.Pair] or, for RoBERTa,
// not the experiment's.
type tokenizerFile struct {
	AddedTokens  addedTokens     `json:"added_tokens"`
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	Model        json.RawMessage `json:"model"`
}

// Bounds of lists, which take many times their bytes once they are decoded.
const (
	maxAdded  = 1 << 16
	maxValues = 8 * maxIDs // of a whole file
)

// decodeList is json.Unmarshal for a list of at most so many entries.
func decodeList(data []byte, most int, list any) error {
	if n := confined.Count(data); n > most {
		return fmt.Errorf("%d entries, want at most %d", n, most)
	}
	return json.Unmarshal(data, list)
}

// addedToken is a token that the file adds to the model's.
type addedToken struct {
	ID      int    `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
}

type addedTokens []addedToken

func (t *addedTokens) UnmarshalJSON(data []byte) error {
	return decodeList(data, maxAdded, (*[]addedToken)(t))
}

// jsonMerges are those of a BPE model.
type jsonMerges []jsonMerge

func (m *jsonMerges) UnmarshalJSON(data []byte) error {
	return decodeList(data, maxIDs, (*[]jsonMerge)(m))
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
func parseTokenizer(data []byte, s settings) (*Tokenizer, error) {
	var file tokenizerFile
	var model struct {
		Type string `json:"type"`
	}
	err := confined.CheckJSON(data, maxValues)
	if err == nil {
		err = json.Unmarshal(data, &file)
	}
	if err == nil && len(file.Model) > 0 {
		err = json.Unmarshal(file.Model, &model)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tokenizerJSON, located(data, err))
	}
	var t *Tokenizer
	switch model.Type {
	case "", "BPE":
		t, err = file.bytePairs(s)
	case "WordPiece":
		t, err = file.wordPieces(s)
	case "Unigram":
		t, err = file.unigram(s)
	default:
		err = fmt.Errorf("model type %q is not supported: only BPE, WordPiece and Unigram", model.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tokenizerJSON, err)
	}
	return t, nil
}

// bytePairs makes the tokenizer of a BPE model.
func (f *tokenizerFile) bytePairs(s settings) (*Tokenizer, error) {
	var m bpeModel
	var pre byteLevel
	if err := f.decode(&m, &pre); err != nil {
		return nil, err
	}
	if what := unsupportedBPE(f.Normalizer, pre, m); what != "" {
		return nil, fmt.Errorf("%s is not supported: only byte-level BPE as GPT-2 and RoBERTa have it", what)
	}
	v, err := f.vocabulary(m.Vocabulary)
	if err != nil {
		return nil, err
	}
	for _, merge := range m.Merges {
		v.Merges = append(v.Merges, merge)
	}
	v.Special = s.special.or(robertaSpecial)
	return newTokenizer(v, func(i int) string { return fmt.Sprintf("merge %d", i+1) })
}

// decode reads the model and the pre-tokenizer.
func (f *tokenizerFile) decode(model, preTokenizer any) error {
	if len(f.Model) > 0 {
		if err := json.Unmarshal(f.Model, model); err != nil {
			return fmt.Errorf("model: %w", err)
		}
	}
	if len(f.PreTokenizer) > 0 {
		if err := json.Unmarshal(f.PreTokenizer, preTokenizer); err != nil {
			return fmt.Errorf("pre_tokenizer: %w", err)
		}
	}
	return nil
}

// vocabulary is a model's tokens with those that the file adds: special ones, which no text is cut at.
func (f *tokenizerFile) vocabulary(raw json.RawMessage) (*Vocabulary, error) {
	ids, err := parseVocabulary(raw)
	if err != nil {
		return nil, fmt.Errorf("model.vocab, counted from its brace: %w", err)
	}
	return &Vocabulary{IDs: ids}, f.add(ids)
}

// add puts the file's special tokens among a model's.
func (f *tokenizerFile) add(ids map[string]int) error {
	for i, added := range f.AddedTokens {
		id, known := ids[added.Content]
		switch {
		case !added.Special:
			return fmt.Errorf("added_tokens, entry %d: %q is not a special token: cutting such words out of a text is not supported", i+1, added.Content)
		case known && id != added.ID:
			return fmt.Errorf("added_tokens, entry %d: %q has the id %d, in model.vocab it is %d", i+1, added.Content, added.ID, id)
		case added.ID < 0 || added.ID >= maxIDs:
			return fmt.Errorf("added_tokens, entry %d: token %q: id %d is outside 0 … %d", i+1, added.Content, added.ID, maxIDs-1)
		}
		ids[added.Content] = added.ID
	}
	return nil
}

// bpeModel is a model of type BPE.
type bpeModel struct {
	Dropout      float64         `json:"dropout"`
	Prefix       string          `json:"continuing_subword_prefix"`
	Suffix       string          `json:"end_of_word_suffix"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	Vocabulary   json.RawMessage `json:"vocab"`
	Merges       jsonMerges      `json:"merges"`
}

// byteLevel is a pre-tokenizer of type ByteLevel.
type byteLevel struct {
	Type           string `json:"type"`
	AddPrefixSpace bool   `json:"add_prefix_space"`
	UseRegex       *bool  `json:"use_regex"`
}

// unsupportedBPE names the first setting that asks for another kind of tokenizer; "" where there is none.
func unsupportedBPE(normalizer json.RawMessage, p byteLevel, m bpeModel) string {
	switch {
	case len(m.Vocabulary) == 0:
		return "a model without vocab"
	case len(normalizer) > 0 && !bytes.Equal(normalizer, []byte("null")):
		return fmt.Sprintf("normalizer %.80s", normalizer)
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

// wordPieces makes the tokenizer of a WordPiece model. The normalizer and pre-tokenizer have to be BERT's.
func (f *tokenizerFile) wordPieces(s settings) (*Tokenizer, error) {
	m := struct {
		Unknown    string          `json:"unk_token"`
		Prefix     *string         `json:"continuing_subword_prefix"`
		MaxChars   *int            `json:"max_input_chars_per_word"`
		Vocabulary json.RawMessage `json:"vocab"`
	}{}
	var pre struct {
		Type string `json:"type"`
	}
	if err := f.decode(&m, &pre); err != nil {
		return nil, err
	}
	if len(m.Vocabulary) == 0 {
		return nil, errors.New("a model without vocab is not supported")
	}
	if pre.Type != "BertPreTokenizer" {
		return nil, fmt.Errorf("pre_tokenizer type %q is not supported: WordPiece only with BertPreTokenizer", pre.Type)
	}
	v, err := f.vocabulary(m.Vocabulary)
	if err != nil {
		return nil, err
	}
	v.Special = s.special.or(Special{Unknown: m.Unknown}).or(bertSpecial)
	p := newPieces(v)
	if m.Prefix != nil {
		p.prefix = *m.Prefix
	}
	if m.MaxChars != nil {
		p.maxChars = *m.MaxChars
	}
	if p.rules, err = parseBertRules(f.Normalizer); err != nil {
		return nil, err
	}
	s.override(&p.rules)
	return p.tokenizer()
}

// parseBertRules reads a BertNormalizer. What it leaves out is set, as Hugging Face has it.
func parseBertRules(data json.RawMessage) (bertRules, error) {
	n := struct {
		Type    string `json:"type"`
		Clean   bool   `json:"clean_text"`
		Chinese bool   `json:"handle_chinese_chars"`
		Strip   *bool  `json:"strip_accents"`
		Lower   bool   `json:"lowercase"`
	}{Clean: true, Chinese: true, Lower: true}
	if len(data) == 0 || json.Unmarshal(data, &n) != nil || n.Type != "BertNormalizer" {
		return bertRules{}, fmt.Errorf("normalizer %.80s is not supported: WordPiece only with BertNormalizer", data)
	}
	r := bertRules{clean: n.Clean, chinese: n.Chinese, strip: n.Lower, lower: n.Lower}
	if n.Strip != nil {
		r.strip = *n.Strip
	}
	return r, nil
}
