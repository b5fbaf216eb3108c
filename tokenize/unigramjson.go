package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// unigram makes the tokenizer of a Unigram model as XLM-R has it: texts by a precompiled map of characters, words between
// blanks with a mark before each. Anything else is refused by name.
func (f *tokenizerFile) unigram(s settings) (*Tokenizer, error) {
	var m struct {
		Unknown      *int       `json:"unk_id"`
		ByteFallback bool       `json:"byte_fallback"`
		Vocabulary   jsonPieces `json:"vocab"`
	}
	var pre metaspaces
	if err := f.decode(&m, &pre); err != nil {
		return nil, err
	}
	switch {
	case m.ByteFallback:
		return nil, fmt.Errorf("model.byte_fallback is not supported")
	case m.Unknown == nil:
		return nil, fmt.Errorf("model.unk_id is missing")
	case !pre.asXLMR():
		return nil, fmt.Errorf("pre_tokenizer %.120s is not supported: Unigram only with WhitespaceSplit and Metaspace, as XLM-R has them", f.PreTokenizer)
	}
	chars, err := parseCharsNormalizer(f.Normalizer)
	if err != nil {
		return nil, err
	}
	list, ids := make([]scored, len(m.Vocabulary)), map[string]int{}
	for id, x := range m.Vocabulary {
		list[id], ids[x.piece] = scored(x), id
	}
	if err := f.add(ids); err != nil {
		return nil, err
	}
	u, err := newUnigram(list, *m.Unknown, f.special(), chars)
	if err != nil {
		return nil, fmt.Errorf("model.vocab: %w", err)
	}
	if u.tokens, err = byID(ids); err != nil {
		return nil, err
	}
	return assemble(u, &Vocabulary{IDs: ids, Special: s.special.or(robertaSpecial)}, len(u.tokens), false)
}

// special has the tokens that the file adds, which are in no text.
func (f *tokenizerFile) special() map[string]bool {
	texts := map[string]bool{}
	for _, added := range f.AddedTokens {
		texts[added.Content] = true
	}
	return texts
}

// jsonPieces are those of a Unigram model.
type jsonPieces []jsonScored

func (p *jsonPieces) UnmarshalJSON(data []byte) error {
	return decodeList(data, maxIDs, (*[]jsonScored)(p))
}

// jsonScored is ["piece", score].
type jsonScored scored

func (x *jsonScored) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil || len(parts) != 2 {
		return fmt.Errorf("%.80s is no piece with its score", data)
	}
	if json.Unmarshal(parts[0], &x.piece) != nil || json.Unmarshal(parts[1], &x.score) != nil {
		return fmt.Errorf("%.80s is no piece with its score", data)
	}
	return nil
}

// metaspaces is a sequence of WhitespaceSplit and Metaspace.
type metaspaces struct {
	Type  string `json:"type"`
	Parts []struct {
		Type        string `json:"type"`
		Replacement string `json:"replacement"`
		Scheme      string `json:"prepend_scheme"`
		Prefix      *bool  `json:"add_prefix_space"`
		Split       *bool  `json:"split"`
	} `json:"pretokenizers"`
}

// asXLMR tells whether each word gets a mark, in either of the ways that files say so.
func (m metaspaces) asXLMR() bool {
	if m.Type != "Sequence" || len(m.Parts) != 2 || m.Parts[0].Type != "WhitespaceSplit" {
		return false
	}
	p := m.Parts[1]
	return p.Type == "Metaspace" && p.Replacement == blankMark && (p.Split == nil || *p.Split) &&
		(p.Scheme == "always" || p.Scheme == "" && (p.Prefix == nil || *p.Prefix))
}

// parseCharsNormalizer reads a normalizer: none, or a precompiled map.
func parseCharsNormalizer(data json.RawMessage) (*charsMap, error) {
	if len(data) == 0 || bytes.Equal(data, []byte("null")) {
		return nil, nil
	}
	var n struct {
		Type string `json:"type"`
		Map  string `json:"precompiled_charsmap"`
	}
	if json.Unmarshal(data, &n) != nil || n.Type != "Precompiled" {
		return nil, fmt.Errorf("normalizer %.80s is not supported: Unigram only with Precompiled", data)
	}
	m, err := parseCharsMap(n.Map)
	if err != nil {
		return nil, fmt.Errorf("normalizer.precompiled_charsmap: %w", err)
	}
	return m, nil
}
