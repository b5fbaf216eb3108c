package tokenize

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// charsMap is SentencePiece's precompiled map of characters and short sequences to what stands for them: a double array
// (Aoe 1989, as darts-clone packs it) whose leaves are places in a text of NUL-terminated replacements.
type charsMap struct {
	units        []uint32
	replacements string
}

// parseCharsMap reads the bytes of precompiled_charsmap: the array's length in bytes, the array, the replacements.
func parseCharsMap(text string) (*charsMap, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	if len(data) < 4 {
		return nil, errors.New("it ends before its first number")
	}
	size := int(binary.LittleEndian.Uint32(data))
	data = data[4:]
	if size%4 != 0 || size == 0 || size > len(data) {
		return nil, errors.New("its first number is not the length of an array that follows")
	}
	m := &charsMap{units: make([]uint32, size/4), replacements: string(data[size:])}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	if !utf8.ValidString(m.replacements) {
		return nil, errors.New("its replacements are no UTF-8")
	}
	return m, nil
}

// normalise replaces what the map has a replacement for: whole grapheme clusters of up to 5 bytes, else single
// characters, as Hugging Face does.
func (m *charsMap) normalise(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	for state := -1; len(text) > 0; {
		var cluster string
		cluster, text, _, state = uniseg.FirstGraphemeClusterInString(text, state)
		if replacement, ok := m.replacement(cluster); ok && len(cluster) < 6 {
			out.WriteString(replacement)
			continue
		}
		for _, c := range cluster {
			if replacement, ok := m.replacement(string(c)); ok {
				out.WriteString(replacement)
			} else {
				out.WriteRune(c)
			}
		}
	}
	return out.String()
}

// replacement is that of the shortest start of the text which the map knows: what follows it is dropped with it.
func (m *charsMap) replacement(text string) (string, bool) {
	at := offset(m.units[0])
	for i := range len(text) {
		at ^= uint32(text[i])
		if text[i] == 0 || int64(at) >= int64(len(m.units)) {
			return "", false
		}
		unit := m.units[at]
		if unit&(1<<31|0xFF) != uint32(text[i]) {
			return "", false
		}
		at ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if int64(at) >= int64(len(m.units)) {
			return "", false
		}
		return m.at(m.units[at] & (1<<31 - 1))
	}
	return "", false
}

// at is the replacement that begins at a place.
func (m *charsMap) at(place uint32) (string, bool) {
	if int64(place) > int64(len(m.replacements)) {
		return "", false
	}
	text, _, ended := strings.Cut(m.replacements[place:], "\x00")
	return text, ended
}

// offset is how far a unit's children lie from it.
func offset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
