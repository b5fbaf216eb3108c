package tokenize

import (
	"strings"
	"unicode/utf8"

	"github.com/sugarme/tokenizer/pretokenizer"
)

// Vocabularies are text files, so each of the 256 bytes is written as a printable letter: ASCII and Latin-1 as
// themselves, the others (blanks, control characters) as U+0100 and following. The table is the library's.
var (
	letterOf [256]rune
	byteOf   = map[rune]byte{}
)

func init() {
	for b, s := range pretokenizer.BytesChar {
		letterOf[b], _ = utf8.DecodeRuneInString(s)
		byteOf[letterOf[b]] = b
	}
}

// letters spells the bytes of a text.
func letters(text string) string {
	var out strings.Builder
	out.Grow(len(text) + len(text)/4)
	for i := range len(text) {
		out.WriteRune(letterOf[text[i]])
	}
	return out.String()
}

// spelling is the inverse of letters. A token that is not made of byte letters (a special one) stands for itself.
func spelling(token string) string {
	out := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := byteOf[r]
		if !ok {
			return token
		}
		out = append(out, b)
	}
	return string(out)
}
