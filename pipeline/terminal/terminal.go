// Package terminal keeps what data says from commanding a terminal: dialogues, names of tensors and paths may hold characters
// that move the cursor, recolour, retitle the window, or turn the direction of reading.
//
// Such a character is shown as the escape \u that JSON has for it. In JSON that changes nothing of what is said, so one
// writer serves for texts and documents.
package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain shows control characters other than line feed and tab as escapes, and bytes that are no UTF-8 as U+FFFD.
func Plain(text string) string {
	if isPlain(text) {
		return text
	}
	var out strings.Builder
	for _, r := range text { // yields U+FFFD for what is no UTF-8
		if commands(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c >= utf8.RuneSelf || c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return utf8.ValidString(text[i:]) && !strings.ContainsFunc(text[i:], commands)
		}
	}
	return true
}

// commands tells whether a terminal may do something else with a character than show it. Beside the control characters of
// ASCII and Latin-1 these are the marks and embeddings of direction, and the separators of lines and paragraphs.
func commands(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.IsControl(r), r == 0x2028, r == 0x2029, r == 0x061c, r == 0x200e, r == 0x200f:
		return true
	}
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// Writer writes texts to w as [Plain] shows them. A character may be split between two writes; its beginning waits.
func Writer(w io.Writer) io.Writer { return &writer{to: w} }

type writer struct {
	to      io.Writer
	waiting []byte
}

func (w *writer) Write(p []byte) (int, error) {
	text := append(w.waiting, p...)
	end := len(text)
	for back := 1; back <= min(utf8.UTFMax-1, len(text)); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				end = at
			}
			break
		}
	}
	w.waiting = append([]byte(nil), text[end:]...)
	if _, err := io.WriteString(w.to, Plain(string(text[:end]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
