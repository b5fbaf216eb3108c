package tokenize

import (
	"strings"

	"github.com/sugarme/tokenizer"
)

// bytePairs is byte-level BPE: words by GPT-2's pattern, spelt in bytes, merged by the model.
type bytePairs struct {
	model    *model
	pipeline *tokenizer.Tokenizer
	known    cache
}

func newBytePairs(m *model) *bytePairs {
	b := &bytePairs{model: m, pipeline: tokenizer.NewTokenizer(m)}
	b.pipeline.WithPreTokenizer(preTokenizer{})
	return b
}

func (b *bytePairs) encode(text string) []int {
	ids := make([]int, 0, len(text)/4+1)
	for word := range words(text) {
		ids = append(ids, b.word(word)...)
	}
	return ids
}

// word gives the ids of one word; the caller must not change them.
func (b *bytePairs) word(word string) []int {
	if len(word) > longWord {
		return b.model.ids(letters(word))
	}
	if ids, ok := b.known.get(word); ok {
		return ids
	}
	encoding, err := b.pipeline.EncodeSingleSequence(tokenizer.NewInputSequence(word), 0, tokenizer.Byte)
	if err != nil { // the library refuses a word that has no tokens: our model gives none to no word
		return b.model.ids(letters(word))
	}
	b.known.put(word, encoding.Ids)
	return encoding.Ids
}

func (b *bytePairs) decode(ids []int) string {
	var text strings.Builder
	for _, id := range ids {
		if id >= 0 && id < len(b.model.tokens) {
			text.WriteString(spelling(b.model.tokens[id]))
		}
	}
	return wellFormed(text.String())
}
