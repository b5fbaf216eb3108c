package tokenize

import (
	"strings"
	"unicode/utf8"
)

// wellFormed replaces bytes that are no UTF-8 by U+FFFD, one for each maximal subpart (Unicode 16, section 3.9), which is
// how Python and Rust replace them. (strings.ToValidUTF8 has one for a whole run, a range loop one for each byte.)
func wellFormed(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && n == 1 {
			n = subpart(text)
		}
		out.WriteRune(r)
		text = text[n:]
	}
	return out.String()
}

// subpart is the length of the longest start of an ill-formed text that some well-formed character begins with, at
// least 1. The ranges of second bytes are table 3-7 of the Unicode standard.
func subpart(text string) int {
	low, high, length := byte(0x80), byte(0xBF), 0
	switch b := text[0]; {
	case b >= 0xC2 && b <= 0xDF:
		length = 2
	case b >= 0xE0 && b <= 0xEF:
		length = 3
	case b >= 0xF0 && b <= 0xF4:
		length = 4
	}
	switch text[0] {
	case 0xE0: // shorter forms exist
		low = 0xA0
	case 0xED: // surrogates
		high = 0x9F
	case 0xF0: // shorter forms exist
		low = 0x90
	case 0xF4: // above U+10FFFF
		high = 0x8F
	}
	n := 1
	for n < min(length, len(text)) && text[n] >= low && text[n] <= high {
		low, high = 0x80, 0xBF
		n++
	}
	return n
}
