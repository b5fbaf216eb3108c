package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of a tokenizer folder.
const (
	vocabularyFile = "vocab.json"
	mergesFile     = "merges.txt"
	tokenizerJSON  = "tokenizer.json"
	specialFile    = "special_tokens_map.json"
	configFile     = "tokenizer_config.json"
)

// maxFile bounds every file that is read; RoBERTa's tokenizer.json has 1.4 MB, the largest known ones 35 MB.
const maxFile = 64 << 20

// Load reads the tokenizer of a folder as Hugging Face writes it: tokenizer.json, or else vocab.json and merges.txt.
// The texts of special tokens come from special_tokens_map.json and tokenizer_config.json where they are there, else
// they are RoBERTa's. Other files may stand beside. An error names the file and the line or entry in it.
func Load(dir string) (*Tokenizer, error) {
	t, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("loading tokenizer %s: %w", dir, err)
	}
	return t, nil
}

func load(dir string) (*Tokenizer, error) {
	special, err := readSpecial(dir)
	if err != nil {
		return nil, err
	}
	v, place, err := readVocabulary(dir)
	if err != nil {
		return nil, err
	}
	v.Special = special.or(robertaSpecial)
	return newTokenizer(v, place)
}

// readVocabulary reads tokens and merges. place says where merge i was read.
func readVocabulary(dir string) (v *Vocabulary, place func(i int) string, err error) {
	data, err := readFile(dir, tokenizerJSON)
	if err == nil {
		if v, err = parseTokenizer(data); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", tokenizerJSON, err)
		}
		return v, func(i int) string { return fmt.Sprintf("%s: merge %d", tokenizerJSON, i+1) }, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	return readPair(dir)
}

// readPair reads vocab.json and merges.txt.
func readPair(dir string) (*Vocabulary, func(i int) string, error) {
	data, err := readFile(dir, vocabularyFile)
	if err != nil {
		return nil, nil, missing(err)
	}
	ids, err := parseVocabulary(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", vocabularyFile, err)
	}
	if data, err = readFile(dir, mergesFile); err != nil {
		return nil, nil, missing(err)
	}
	merges, first, err := parseMerges(string(data))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", mergesFile, err)
	}
	place := func(i int) string { return fmt.Sprintf("%s: line %d", mergesFile, first+i) }
	return &Vocabulary{IDs: ids, Merges: merges}, place, nil
}

// missing says what a tokenizer folder has to hold.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; a tokenizer is %s with %s, or %s", err, vocabularyFile, mergesFile, tokenizerJSON)
	}
	return err
}

// readSpecial reads the texts of the special tokens: what special_tokens_map.json does not say, tokenizer_config.json may.
// Of the latter's settings do_lower_case is ignored, as RoBERTa's tokenizer ignores it: the published folder sets it and
// the model is cased all the same.
func readSpecial(dir string) (Special, error) {
	var special Special
	for _, name := range []string{specialFile, configFile} {
		data, err := readFile(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return special, err
		}
		found, err := parseSpecial(data)
		if err != nil {
			return special, fmt.Errorf("%s: %w", name, err)
		}
		special = special.or(found)
	}
	return special, nil
}

// parseSpecial reads special_tokens_map.json or tokenizer_config.json.
func parseSpecial(data []byte) (Special, error) {
	var file struct {
		Begin          specialText `json:"bos_token"`
		Class          specialText `json:"cls_token"`
		Stop           specialText `json:"eos_token"`
		Separator      specialText `json:"sep_token"`
		Pad            specialText `json:"pad_token"`
		Unknown        specialText `json:"unk_token"`
		Mask           specialText `json:"mask_token"`
		AddPrefixSpace bool        `json:"add_prefix_space"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return Special{}, located(data, err)
	}
	if file.AddPrefixSpace {
		return Special{}, errors.New("add_prefix_space: true is not supported")
	}
	own := Special{Start: string(file.Class), End: string(file.Separator), Pad: string(file.Pad), Unknown: string(file.Unknown), Mask: string(file.Mask)}
	return own.or(Special{Start: string(file.Begin), End: string(file.Stop)}), nil
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

// readFile reads a file of at most maxFile bytes.
func readFile(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	// Asked before it is opened: opening a named pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than the %d MiB that a tokenizer file may have", name, maxFile>>20)
	}
	return data, nil
}
