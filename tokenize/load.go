package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"metalora/pipeline/confined"
)

// The files of a tokenizer folder.
const (
	vocabularyFile = "vocab.json"
	mergesFile     = "merges.txt"
	vocabularyText = "vocab.txt"
	tokenizerJSON  = "tokenizer.json"
	specialFile    = "special_tokens_map.json"
	configFile     = "tokenizer_config.json"
)

// Bounds of what is read. RoBERTa's tokenizer.json has 1.4 MB, the largest known ones 35 MB; the small files beside may list
// some thousand added tokens.
const (
	maxFile        = 48 << 20
	maxSmall       = 4 << 20
	maxSmallValues = 200_000
)

// Load reads the tokenizer of a folder as Hugging Face writes it: tokenizer.json, or else vocab.json and merges.txt
// (byte-level BPE), or else vocab.txt (WordPiece). The texts of special tokens come from special_tokens_map.json and
// tokenizer_config.json where they are there, else they are RoBERTa's or BERT's. Other files may stand beside. An error
// names the file and the line or entry in it.
func Load(dir string) (*Tokenizer, error) {
	t, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("loading tokenizer %s: %w", dir, err)
	}
	return t, nil
}

func load(dir string) (*Tokenizer, error) {
	f, err := confined.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := readSettings(f)
	if err != nil {
		return nil, err
	}
	data, err := f.Read(tokenizerJSON, maxFile)
	if err == nil {
		return parseTokenizer(data, s)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if data, err = f.Read(vocabularyText, maxFile); err == nil && !f.Has(vocabularyFile) {
		return loadText(data, s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	v, place, err := readPair(f)
	if err != nil {
		return nil, err
	}
	v.Special = s.special.or(robertaSpecial)
	return newTokenizer(v, place)
}

// loadText makes the tokenizer of a vocab.txt.
func loadText(data []byte, s settings) (*Tokenizer, error) {
	ids, err := parseLines(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", vocabularyText, err)
	}
	p := newPieces(&Vocabulary{IDs: ids, Special: s.special.or(bertSpecial)})
	s.override(&p.rules)
	return p.tokenizer()
}

// readPair reads vocab.json and merges.txt.
func readPair(f *confined.Folder) (*Vocabulary, func(i int) string, error) {
	data, err := f.Read(vocabularyFile, maxFile)
	if err != nil {
		return nil, nil, missing(err)
	}
	ids, err := parseVocabulary(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", vocabularyFile, err)
	}
	if data, err = f.Read(mergesFile, maxFile); err != nil {
		return nil, nil, missing(err)
	}
	merges, first, err := parseMerges(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", mergesFile, err)
	}
	place := func(i int) string { return fmt.Sprintf("%s: line %d", mergesFile, first+i) }
	return &Vocabulary{IDs: ids, Merges: merges}, place, nil
}

// missing says what a tokenizer folder has to hold.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; a tokenizer is %s, %s with %s, or %s", err, tokenizerJSON, vocabularyFile, mergesFile, vocabularyText)
	}
	return err
}

// settings are what the small files beside a vocabulary say.
type settings struct {
	special Special
	lower   *bool // of BERT's rules; nil where the files say nothing
	strip   *bool // nil: as lower
	chinese *bool
}

// readSettings reads special_tokens_map.json and tokenizer_config.json: what the one does not say, the other may.
func readSettings(f *confined.Folder) (settings, error) {
	var all settings
	for _, name := range []string{specialFile, configFile} {
		data, err := f.Read(name, maxSmall)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return all, err
		}
		found, err := parseSettings(data)
		if err != nil {
			return all, fmt.Errorf("%s: %w", name, err)
		}
		found.special = all.special.or(found.special)
		all = found
	}
	return all, nil
}

// parseSettings reads special_tokens_map.json or tokenizer_config.json. do_lower_case and its kind are BERT's alone: the
// published folder of RoBERTa sets it, its tokenizer ignores it, and the model is cased all the same.
func parseSettings(data []byte) (settings, error) {
	var file struct {
		Begin          specialText `json:"bos_token"`
		Class          specialText `json:"cls_token"`
		Stop           specialText `json:"eos_token"`
		Separator      specialText `json:"sep_token"`
		Pad            specialText `json:"pad_token"`
		Unknown        specialText `json:"unk_token"`
		Mask           specialText `json:"mask_token"`
		AddPrefixSpace bool        `json:"add_prefix_space"`
		Lower          *bool       `json:"do_lower_case"`
		Strip          *bool       `json:"strip_accents"`
		Chinese        *bool       `json:"tokenize_chinese_chars"`
		Basic          *bool       `json:"do_basic_tokenize"`
	}
	if err := confined.CheckJSON(data, maxSmallValues); err != nil {
		return settings{}, err
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return settings{}, located(data, err)
	}
	if file.AddPrefixSpace {
		return settings{}, errors.New("add_prefix_space: true is not supported")
	}
	if file.Basic != nil && !*file.Basic {
		return settings{}, errors.New("do_basic_tokenize: false is not supported")
	}
	own := Special{Start: string(file.Class), End: string(file.Separator), Pad: string(file.Pad), Unknown: string(file.Unknown), Mask: string(file.Mask)}
	return settings{special: own.or(Special{Start: string(file.Begin), End: string(file.Stop)}),
		lower: file.Lower, strip: file.Strip, chinese: file.Chinese}, nil
}

// override puts the settings over those of a tokenizer.json, as Hugging Face's BertTokenizer does. Where lower-casing is
// set and nothing is said of accents, they fall with the case.
func (s settings) override(r *bertRules) {
	if s.chinese != nil {
		r.chinese = *s.chinese
	}
	if s.lower != nil {
		r.lower, r.strip = *s.lower, *s.lower
	}
	if s.strip != nil {
		r.strip = *s.strip
	}
}

// specialText is "text" or {"content": "text", …}.
type specialText string

func (s *specialText) UnmarshalJSON(data []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if bytes.HasPrefix(data, []byte("{")) {
		err := json.Unmarshal(data, &object)
		*s = specialText(object.Content)
		return err
	}
	return json.Unmarshal(data, (*string)(s))
}

// located adds the line to an error of the JSON package that knows its place.
func located(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	offset := int64(-1)
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	if offset < 0 || offset > int64(len(data)) {
		return err
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:offset], []byte("\n")), err)
}
