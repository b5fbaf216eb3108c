package tokenize

import (
	"fmt"
	"strings"

	library "github.com/sugarme/tokenizer/model"
	"github.com/sugarme/tokenizer/model/wordpiece"
)

// What a file may ask for. The time for a word grows with its square and with the prefix, which is "##" in every file known.
const (
	maxWordChars = 1000
	maxPrefix    = 16
)

// pieces is a WordPiece vocabulary with its settings, as a file gives them.
type pieces struct {
	*Vocabulary
	rules    bertRules
	prefix   string // of a piece that does not begin a word
	maxChars int    // of a word; a longer one is unknown
}

// newPieces has the settings that BERT's files leave out.
func newPieces(v *Vocabulary) *pieces {
	return &pieces{Vocabulary: v, prefix: "##", maxChars: 100, rules: bertRules{clean: true, chinese: true, strip: true, lower: true}}
}

// tokenizer checks the vocabulary and makes its tokenizer.
func (p *pieces) tokenizer() (*Tokenizer, error) {
	tokens, err := byID(p.IDs)
	if err != nil {
		return nil, err
	}
	unknown, ok := p.IDs[p.Special.Unknown]
	if !ok {
		return nil, fmt.Errorf("the unknown token %q is not in the vocabulary", p.Special.Unknown)
	}
	if p.maxChars < 1 || p.maxChars > maxWordChars {
		return nil, fmt.Errorf("max_input_chars_per_word is %d, want 1 to %d", p.maxChars, maxWordChars)
	}
	if len(p.prefix) > maxPrefix {
		return nil, fmt.Errorf("continuing_subword_prefix has %d bytes, want at most %d", len(p.prefix), maxPrefix)
	}
	vocabulary := library.Vocab(p.IDs)
	model := wordpiece.NewWordPieceBuilder().Vocab(&vocabulary).UnkToken(p.Special.Unknown).
		ContinuingSubwordPrefix(p.prefix).MaxInputCharsPerWord(p.maxChars).Build()
	return assemble(&wordPieces{rules: p.rules, model: model, tokens: tokens, prefix: p.prefix, unknown: unknown}, p.Vocabulary, len(tokens), true)
}

// wordPieces is WordPiece: words by BERT's rules, pieces by the library's model.
type wordPieces struct {
	rules   bertRules
	model   wordpiece.WordPiece
	tokens  []string // by id
	prefix  string
	unknown int
	known   cache
}

func (w *wordPieces) encode(text string) []int {
	ids := make([]int, 0, len(text)/4+1)
	for word := range w.rules.words(text) {
		ids = append(ids, w.word(word)...)
	}
	return ids
}

// word gives the ids of one word; the caller must not change them.
func (w *wordPieces) word(word string) []int {
	if ids, ok := w.known.get(word); ok {
		return ids
	}
	found, err := w.model.Tokenize(word)
	if err != nil { // the library's one error: the vocabulary lacks the unknown token
		return []int{w.unknown}
	}
	ids := make([]int, len(found))
	for i, token := range found {
		ids[i] = token.Id
	}
	if len(word) <= longWord {
		w.known.put(word, ids)
	}
	return ids
}

// decode puts a blank before every piece that begins a word.
func (w *wordPieces) decode(ids []int) string {
	var text strings.Builder
	for _, id := range ids {
		if id < 0 || id >= len(w.tokens) || w.tokens[id] == "" {
			continue
		}
		rest, inside := strings.CutPrefix(w.tokens[id], w.prefix)
		if !inside && text.Len() > 0 {
			text.WriteByte(' ')
		}
		text.WriteString(rest)
	}
	return text.String()
}
