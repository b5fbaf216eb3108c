package confined

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"unicode/utf8"
)

// maxNesting bounds how deep lists and objects may lie in each other. No file that is read here goes beyond ten.
const maxNesting = 100

// CheckJSON refuses a JSON text that would take far more memory decoded than its size warrants, or that readers do not agree
// on: one with more than so many entries in all its lists and objects, one that is nested too deep, an object that has a key
// twice, and text that is no UTF-8. It takes little memory itself. What is no JSON at all is left to the decoder to complain about.
func CheckJSON(data []byte, most int) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("byte %d: it is no UTF-8", firstInvalid(data))
	}
	w := walk{data: data, left: most, seed: maphash.MakeSeed()}
	for w.at < len(data) {
		if err := w.step(); err != nil {
			return fmt.Errorf("byte %d: %w", w.at, err)
		}
	}
	if w.left < 0 {
		return fmt.Errorf("more than %d entries", most)
	}
	return nil
}

func firstInvalid(data []byte) int {
	for at := 0; ; {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
}

// walk goes through a text and keeps what it has of the objects that are open: the hashes of their keys.
type walk struct {
	data []byte
	at   int
	left int // entries
	open []keys
	seed maphash.Seed
}

// keys are the hashes of an object's keys. Most objects have few: a list of them is searched faster than a map is made, and the next object
// at the same depth takes it over.
type keys struct {
	few  []uint64
	many map[uint64]bool
}

// fewKeys is how many are searched one by one.
const fewKeys = 24

// add takes a key in and tells whether it is new.
func (k *keys) add(hash uint64) bool {
	if k.many != nil {
		known := k.many[hash]
		k.many[hash] = true
		return !known
	}
	if slices.Contains(k.few, hash) {
		return false
	}
	if k.few = append(k.few, hash); len(k.few) > fewKeys {
		k.many = map[uint64]bool{}
		for _, hash := range k.few {
			k.many[hash] = true
		}
	}
	return true
}

// push opens an object or a list.
func (w *walk) push() {
	n := len(w.open)
	if n == cap(w.open) {
		w.open = append(w.open, keys{})
		return
	}
	w.open = w.open[:n+1]
	w.open[n] = keys{few: w.open[n].few[:0]}
}

// step takes in one character, or one string.
func (w *walk) step() error {
	switch w.data[w.at] {
	case '"':
		return w.text()
	case '{', '[':
		w.left--
		if w.push(); len(w.open) > maxNesting {
			return fmt.Errorf("nested deeper than %d", maxNesting)
		}
	case '}', ']':
		w.open = w.open[:max(0, len(w.open)-1)]
	case ',':
		w.left--
	}
	w.at++
	if w.left < 0 {
		w.at = len(w.data)
	}
	return nil
}

// text takes in a string; one with a colon behind is a key.
func (w *walk) text() error {
	from := w.at
	for w.at++; w.at < len(w.data) && w.data[w.at] != '"'; w.at++ {
		if w.data[w.at] == '\\' {
			w.at++
		}
	}
	w.at = min(w.at+1, len(w.data))
	rest := bytes.TrimLeft(w.data[w.at:], " \t\r\n")
	if len(w.open) == 0 || len(rest) == 0 || rest[0] != ':' {
		return nil
	}
	return w.key(w.data[from:w.at])
}

// key notes a key of the innermost object.
func (w *walk) key(quoted []byte) error {
	text := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		var plain string
		if json.Unmarshal(quoted, &plain) != nil {
			return nil
		}
		text = []byte(plain)
	}
	if !w.open[len(w.open)-1].add(maphash.Bytes(w.seed, text)) {
		return fmt.Errorf("key %.100q comes twice", text)
	}
	return nil
}

// Count is the number of entries of the JSON list or object that data begins with, not counting what is nested in them.
func Count(data []byte) int {
	depth, n, empty := 0, 0, true
	for at := 0; at < len(data); at++ {
		switch data[at] {
		case '"':
			for at++; at < len(data) && data[at] != '"'; at++ {
				if data[at] == '\\' {
					at++
				}
			}
		case '{', '[':
			if depth++; depth == 1 {
				continue
			}
		case '}', ']':
			if depth--; depth == 0 && empty {
				return 0
			}
		case ',':
			if depth == 1 {
				n++
			}
		case ' ', '\t', '\r', '\n':
			continue
		}
		empty = false
	}
	return n + 1
}
