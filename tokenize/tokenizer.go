// Package tokenize turns text into token ids and token ids into padded batches.
//
// A text is cut into words, each word is spelt in bytes, and neighbouring pieces are merged, the pair that training met
// first before all others, until no pair is left that the vocabulary knows: the byte-level BPE of GPT-2 and RoBERTa
// (Sennrich et al. 2016; Radford et al. 2019). Words never touch each other, so a word's ids can be remembered.
//
// The pipeline is github.com/sugarme/tokenizer's. Two of its parts are ours, because v0.3.0 gives other ids than Hugging
// Face's tokenizers: the model (ties between equal merges go to the left-most pair) and the cutting into words
// (trailing and Unicode blanks). Only the files and numbers of Hugging Face count: for every text the ids are the same.
package tokenize

import (
	"fmt"
	"strings"

	"github.com/sugarme/tokenizer"
)

// Tokenizer is a vocabulary ready for use. It is safe for concurrent use.
type Tokenizer struct {
	model      *model
	pipeline   *tokenizer.Tokenizer
	known      cache
	start, end int // the ids of <s> and </s>
	pad        int
}

// New makes the tokenizer of a vocabulary, which is checked first. An error names the merge or token that is wrong.
func New(v *Vocabulary) (*Tokenizer, error) {
	return newTokenizer(v, func(i int) string { return fmt.Sprintf("merge %d", i+1) })
}

// newTokenizer is New where place says in which file and line merge i stands.
func newTokenizer(v *Vocabulary, place func(i int) string) (*Tokenizer, error) {
	model, err := newModel(v, place)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{model: model, pipeline: tokenizer.NewTokenizer(model)}
	t.pipeline.WithPreTokenizer(preTokenizer{})
	for _, s := range []struct {
		id   *int
		text string
	}{{&t.start, v.Special.Start}, {&t.end, v.Special.End}, {&t.pad, v.Special.Pad}} {
		id, ok := v.IDs[s.text]
		if !ok {
			return nil, fmt.Errorf("special token %q is not in the vocabulary", s.text)
		}
		*s.id = id
	}
	return t, nil
}

// Size is the number of rows that an embedding of these tokens needs: the largest id plus one.
func (t *Tokenizer) Size() int { return len(t.model.tokens) }

// PadID is the id of <pad>.
func (t *Tokenizer) PadID() int { return t.pad }

// Encode gives the ids of a text. No special tokens are added, and special tokens that stand in the text are text.
// Bytes that are no UTF-8 count as U+FFFD, as in a file that Python read with errors="replace".
func (t *Tokenizer) Encode(text string) []int {
	text = wellFormed(text)
	ids := make([]int, 0, len(text)/4+1)
	for word := range words(text) {
		ids = append(ids, t.word(word)...)
	}
	return ids
}

// word gives the ids of one word; the caller must not change them.
func (t *Tokenizer) word(word string) []int {
	if len(word) > longWord {
		return t.model.ids(letters(word))
	}
	if ids, ok := t.known.get(word); ok {
		return ids
	}
	encoding, err := t.pipeline.EncodeSingleSequence(tokenizer.NewInputSequence(word), 0, tokenizer.Byte)
	if err != nil { // the library refuses a word that has no tokens: our model gives none to no word
		return t.model.ids(letters(word))
	}
	t.known.put(word, encoding.Ids)
	return encoding.Ids
}

// Single gives `<s> a </s>`.
func (t *Tokenizer) Single(a string) []int { return t.frame(t.Encode(a)) }

// Pair gives `<s> a </s><s> b </s>`: the experiment's form. (Hugging Face's own pair has `</s></s>` between.)
func (t *Tokenizer) Pair(a, b string) []int { return t.frame(t.Encode(a), t.Encode(b)) }

// frame puts every text's ids between <s> and </s>.
func (t *Tokenizer) frame(texts ...[]int) []int {
	length := 0
	for _, ids := range texts {
		length += len(ids) + 2
	}
	row := make([]int, 0, length)
	for _, ids := range texts {
		row = append(row, t.start)
		row = append(row, ids...)
		row = append(row, t.end)
	}
	return row
}

// Decode gives the text of ids: the inverse of Encode for every text of valid UTF-8. Special tokens are written out,
// ids outside the vocabulary are left out, and half a character becomes U+FFFD.
func (t *Tokenizer) Decode(ids []int) string {
	var text strings.Builder
	for _, id := range ids {
		if id >= 0 && id < len(t.model.tokens) {
			text.WriteString(spelling(t.model.tokens[id]))
		}
	}
	return wellFormed(text.String())
}
