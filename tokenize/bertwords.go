package tokenize

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bertRules are the settings of BERT's way to cut a text into words (Devlin et al. 2018, their BasicTokenizer).
type bertRules struct {
	clean   bool // control characters vanish, every blank is a blank
	chinese bool // each Chinese character is a word
	strip   bool // accents fall away
	lower   bool
}

// words cuts a text of valid UTF-8 at blanks, and makes a word of each punctuation mark. Blanks are in no word.
//
// The library's BertNormalizer keeps accents where strip_accents is null and lower-casing should strip them, keeps
// format characters such as U+FEFF, and its BertPreTokenizer splits at the ASCII blank alone.
func (r bertRules) words(text string) iter.Seq[string] {
	text = r.normalise(text)
	return func(yield func(string) bool) {
		start := 0
		for i, c := range text {
			end := i + utf8.RuneLen(c)
			alone := isBertPunctuation(c)
			if !alone && !unicode.IsSpace(c) {
				continue
			}
			if start < i && !yield(text[start:i]) {
				return
			}
			if alone && !yield(text[i:end]) {
				return
			}
			start = end
		}
		if start < len(text) {
			yield(text[start:])
		}
	}
}

// normalise applies the rules in Hugging Face's order.
func (r bertRules) normalise(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	for _, c := range text {
		switch {
		case r.clean && isRemoved(c):
		case r.clean && unicode.IsSpace(c):
			out.WriteByte(' ')
		case r.chinese && isChinese(c):
			out.WriteByte(' ')
			out.WriteRune(c)
			out.WriteByte(' ')
		default:
			out.WriteRune(c)
		}
	}
	text = out.String()
	if r.strip {
		text = strings.Map(dropMark, norm.NFD.String(text))
	}
	if r.lower {
		text = lowerCase(text)
	}
	return text
}

// dropMark drops what stands above or below a letter.
func dropMark(c rune) rune {
	if c == oldMark || unicode.Is(unicode.Mn, c) && !unicode.Is(newMarks, c) {
		return -1
	}
	return c
}

// lowerCase is Unicode's full mapping of single characters: İ is the one that becomes two.
func lowerCase(text string) string {
	return strings.Map(newCase.ToLower, strings.ReplaceAll(text, "İ", "i\u0307"))
}

// isRemoved tells what cleaning takes out: NUL, the replacement character, control and format characters, private use.
func isRemoved(c rune) bool {
	if c == '\t' || c == '\n' || c == '\r' {
		return false
	}
	return c == utf8.RuneError || unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co) && !unicode.Is(newControls, c)
}

// isBertPunctuation is every ASCII sign and what Unicode calls punctuation.
func isBertPunctuation(c rune) bool {
	if c < utf8.RuneSelf {
		return c > ' ' && c < 0x7F && !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z')
	}
	return unicode.IsPunct(c) && !unicode.Is(newPunctuation, c) || strings.ContainsRune(oldPunctuation, c)
}

// isChinese is BERT's choice of blocks of Chinese characters.
func isChinese(c rune) bool { return unicode.Is(chinese, c) }

var chinese = &unicode.RangeTable{
	R16: []unicode.Range16{{0x3400, 0x4DBF, 1}, {0x4E00, 0x9FFF, 1}, {0xF900, 0xFAFF, 1}},
	R32: []unicode.Range32{{0x20000, 0x2A6DF, 1}, {0x2A700, 0x2B73F, 1}, {0x2B740, 0x2B81F, 1}, {0x2B920, 0x2CEAF, 1}, {0x2F800, 0x2FA1F, 1}},
}
