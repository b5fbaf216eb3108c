package tokenize

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unigram is SentencePiece's unigram model (Kudo 2018): of all ways to write a word in pieces of the vocabulary, the one
// whose scores, logarithms of probabilities, have the largest sum. Of equal ones the one found first counts.
//
// The library's own looks an unknown character up by bytes and does not join neighbouring ones, so this one is ours.
type unigram struct {
	ids     map[string]int // pieces that a text can have: special tokens are not among them
	scores  []float64      // by id
	tokens  []string       // by id, special ones too
	longest int            // bytes of the longest piece
	least   float64        // the lowest score
	unknown int
	chars   *charsMap // nil: texts stay as they are
	known   cache
}

// blankMark stands before each word of SentencePiece.
const blankMark = "▁"

// maxPiece bounds a piece in bytes, and with it the time for a word; published ones have up to 50.
const maxPiece = 512

// unknownPenalty is how far below the lowest score an unknown character lies.
const unknownPenalty = 10

// scored is a piece and its score, as tokenizer.json lists them.
type scored struct {
	piece string
	score float64
}

// newUnigram checks a vocabulary, whose ids are the places in the list.
func newUnigram(list []scored, unknown int, special map[string]bool, chars *charsMap) (*unigram, error) {
	if len(list) > maxIDs {
		return nil, fmt.Errorf("%d pieces, want at most %d", len(list), maxIDs)
	}
	if unknown < 0 || unknown >= len(list) {
		return nil, fmt.Errorf("unk_id %d is none of the %d pieces", unknown, len(list))
	}
	u := &unigram{ids: make(map[string]int, len(list)), unknown: unknown, chars: chars, least: math.Inf(1)}
	seen := make(map[string]int, len(list))
	for id, x := range list {
		if other, twice := seen[x.piece]; twice || x.piece == "" {
			return nil, fmt.Errorf("piece %d, %q, is empty or the same as piece %d", id, x.piece, other)
		}
		if len(x.piece) > maxPiece {
			return nil, fmt.Errorf("piece %d, %.20q…, has %d bytes, want at most %d", id, x.piece, len(x.piece), maxPiece)
		}
		if !(math.Abs(x.score) < 1e6) {
			return nil, fmt.Errorf("piece %d, %q: score %v is no logarithm of a probability", id, x.piece, x.score)
		}
		seen[x.piece] = id
		u.scores = append(u.scores, x.score)
		u.least = math.Min(u.least, x.score)
		if special[x.piece] || id == unknown {
			continue
		}
		u.ids[x.piece] = id
		u.longest = max(u.longest, len(x.piece))
	}
	return u, nil
}

func (u *unigram) encode(text string) []int {
	if u.chars != nil {
		text = u.chars.normalise(text)
	}
	var ids []int
	for _, field := range strings.FieldsFunc(text, unicode.IsSpace) {
		if !strings.HasPrefix(field, blankMark) {
			field = blankMark + field
		}
		for len(field) > 0 { // a mark within a word begins another
			n := len(field)
			if at := strings.Index(field[len(blankMark):], blankMark); at >= 0 {
				n = at + len(blankMark)
			}
			ids = append(ids, u.word(field[:n])...)
			field = field[n:]
		}
	}
	return ids
}

// word gives the ids of one word; the caller must not change them.
func (u *unigram) word(word string) []int {
	if ids, ok := u.known.get(word); ok {
		return ids
	}
	ids := u.best(word)
	if len(word) <= longWord {
		u.known.put(word, ids)
	}
	return ids
}

// step is the best way to write a word up to a byte: its score, and the last piece's start and id.
type step struct {
	score float64
	start int // -1: no way is known yet
	id    int
}

// best is Viterbi's search over the word's bytes.
func (u *unigram) best(word string) []int {
	path := make([]step, len(word)+1)
	for i := range path {
		path[i].start = -1
	}
	offer := func(at, start, id int, score float64) {
		if x := &path[at]; x.start < 0 || score > x.score {
			*x = step{score, start, id}
		}
	}
	for start := 0; start < len(word); {
		_, width := utf8.DecodeRuneInString(word[start:])
		whole := false // a piece is this character alone
		for end := start + 1; end <= min(len(word), start+u.longest); end++ {
			if id, ok := u.ids[word[start:end]]; ok {
				offer(end, start, id, path[start].score+u.scores[id])
				whole = whole || end == start+width
			}
		}
		if !whole {
			offer(start+width, start, u.unknown, path[start].score+u.least-unknownPenalty)
		}
		start += width
	}
	return u.back(path)
}

// back walks a path from its end. Neighbouring unknown characters are one unknown piece.
func (u *unigram) back(path []step) []int {
	var ids []int
	for at := len(path) - 1; at > 0; at = path[at].start {
		id := path[at].id
		if id == u.unknown && len(ids) > 0 && ids[len(ids)-1] == u.unknown {
			continue
		}
		ids = append(ids, id)
	}
	slices.Reverse(ids)
	return ids
}

// decode turns marks into blanks again.
func (u *unigram) decode(ids []int) string {
	var text strings.Builder
	for _, id := range ids {
		if id >= 0 && id < len(u.tokens) {
			text.WriteString(u.tokens[id])
		}
	}
	return strings.TrimPrefix(strings.ReplaceAll(text.String(), blankMark, " "), " ")
}
