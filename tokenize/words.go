package tokenize

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/normalizer"
)

// words cuts a text of valid UTF-8 into the words of GPT-2's pattern
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// by hand: Go's regexp has no look-ahead, and its \s knows ASCII blanks alone. Joined, the words are the text again.
func words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for len(text) > 0 {
			n := wordLength(text)
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// contractions are words of their own after an apostrophe, in lower case only and whatever letters follow.
var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// wordLength is the number of bytes of a text's first word.
func wordLength(text string) int {
	for _, c := range contractions {
		if strings.HasPrefix(text, c) {
			return len(c)
		}
	}
	lead := 0
	if text[0] == ' ' {
		lead = 1
	}
	if r, _ := utf8.DecodeRuneInString(text[lead:]); lead < len(text) && classOf(r) != blank {
		return lead + runLength(text[lead:], classOf(r))
	}
	n := runLength(text, blank)
	if n == len(text) {
		return n
	}
	// A run of blanks before a word leaves it the last one: \s+(?!\S). A single blank that is not the word's stays.
	_, last := utf8.DecodeLastRuneInString(text[:n])
	if n > last {
		return n - last
	}
	return n
}

type class int

const (
	blank class = iota
	letter
	number
	other
)

// classOf tells the pattern's four kinds of characters apart: \s, \p{L}, \p{N} and the rest.
func classOf(r rune) class {
	switch {
	case unicode.IsLetter(r), unicode.Is(newLetters, r):
		return letter
	case unicode.IsSpace(r):
		return blank
	case unicode.IsNumber(r), unicode.Is(newNumbers, r):
		return number
	}
	return other
}

// runLength is the number of bytes at the start of text whose characters are all of one class.
func runLength(text string, c class) int {
	for i, r := range text {
		if classOf(r) != c {
			return i
		}
	}
	return len(text)
}

// preTokenizer is the library's ByteLevel with two faults mended: its pattern takes "\t " before a word as one piece and
// Unicode blanks for punctuation, and its bookkeeping of changed characters is quadratic in the length of a word.
type preTokenizer struct{}

// PreTokenize cuts every piece into words and spells them in byte letters. Alignments are left out: without them the
// library takes a token's offsets as they are, and the model gives them in bytes of the word.
func (preTokenizer) PreTokenize(text *tokenizer.PreTokenizedString) (*tokenizer.PreTokenizedString, error) {
	return text.Split(func(_ int, piece *normalizer.NormalizedString) []tokenizer.SplitIdx {
		var splits []tokenizer.SplitIdx
		at := piece.Shift()
		for word := range words(piece.GetNormalized()) {
			spelt := normalizer.NewNormalizedString(word, letters(word), nil, nil, at)
			splits = append(splits, tokenizer.SplitIdx{Normalized: spelt})
			at += len(word)
		}
		return splits
	}), nil
}
