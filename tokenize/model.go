package tokenize

import (
	"cmp"
	"fmt"
	"maps"

	"github.com/sugarme/tokenizer"
)

// model merges the letters of a word: the library's tokenizer.Model with the merge order of Hugging Face.
//
// The merge of lowest rank comes first, and of equal ones the left-most. The library's own BPE breaks such ties by the
// time of insertion, which it never sets, so "1000" and "ooooh" come out wrong.
type model struct {
	vocabulary *Vocabulary
	tokens     []string // by id; "" where an id has no token
	letterIDs  [256]int32
	merges     map[pair]merge
}

// pair is two neighbouring tokens' ids.
type pair struct{ left, right int32 }

// merge is what becomes of a pair: the id of both together, and when.
type merge struct{ rank, id int32 }

var _ tokenizer.Model = (*model)(nil)

// newModel checks a vocabulary and lays it out for merging. An error names the place of a merge as place does.
func newModel(v *Vocabulary, place func(i int) string) (*model, error) {
	m := &model{vocabulary: v, merges: make(map[pair]merge, len(v.Merges))}
	var err error
	if m.tokens, err = byID(v.IDs); err != nil {
		return nil, err
	}
	for b, letter := range letterOf {
		id, ok := v.IDs[string(letter)]
		if !ok { // a byte that training never met
			if id, ok = v.IDs[v.Special.Unknown]; !ok {
				return nil, fmt.Errorf("byte 0x%02x: neither its letter %q nor the unknown token %q is in the vocabulary", b, letter, v.Special.Unknown)
			}
		}
		m.letterIDs[b] = int32(id)
	}
	for rank, p := range v.Merges {
		if err := m.addMerge(rank, p); err != nil {
			return nil, fmt.Errorf("%s: %w", place(rank), err)
		}
	}
	return m, nil
}

// byID gives the tokens by id, and refuses ids that are negative, shared or absurd, and empty tokens.
func byID(ids map[string]int) ([]string, error) {
	size := 0
	for token, id := range ids {
		if token == "" {
			return nil, fmt.Errorf("id %d: its token is empty", id)
		}
		if id < 0 || id >= maxIDs {
			return nil, fmt.Errorf("token %q: id %d is outside 0 … %d", token, id, maxIDs-1)
		}
		size = max(size, id+1)
	}
	tokens := make([]string, size)
	for token, id := range ids {
		if other := tokens[id]; other != "" {
			return nil, fmt.Errorf("tokens %q and %q share the id %d", min(token, other), max(token, other), id)
		}
		tokens[id] = token
	}
	return tokens, nil
}

func (m *model) addMerge(rank int, texts [2]string) error {
	var ids [3]int32
	for i, text := range []string{texts[0], texts[1], texts[0] + texts[1]} {
		id, ok := m.vocabulary.IDs[text]
		if !ok {
			return fmt.Errorf("merging %q and %q: token %q is not in the vocabulary", texts[0], texts[1], text)
		}
		ids[i] = int32(id)
	}
	p := pair{ids[0], ids[1]}
	if before, ok := m.merges[p]; ok {
		return fmt.Errorf("merging %q and %q: the same pair is merge %d", texts[0], texts[1], before.rank+1)
	}
	m.merges[p] = merge{int32(rank), ids[2]}
	return nil
}

// symbol is a piece of a word in a linked list; -1 stands for no neighbour.
type symbol struct {
	id         int32 // -1 once it is merged into its left neighbour
	prev, next int32
	length     int32 // in bytes of the word
}

// candidate is a pair that could be merged: the symbol it starts at, and the rank when it was found.
type candidate struct{ rank, at int32 }

// split merges a word given in letters down to its tokens, in O(n log n) time for n letters.
func (m *model) split(word string) []symbol {
	symbols := m.spell(word)
	queue := heap[candidate]{before: func(a, b candidate) bool {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.at, b.at)) < 0
	}}
	find := func(at int32) (merge, bool) {
		if at < 0 || symbols[at].id < 0 || symbols[at].next < 0 {
			return merge{}, false
		}
		found, ok := m.merges[pair{symbols[at].id, symbols[symbols[at].next].id}]
		return found, ok
	}
	offer := func(at int32) {
		if found, ok := find(at); ok {
			queue.push(candidate{found.rank, at})
		}
	}
	for at := range symbols {
		offer(int32(at))
	}
	for len(queue.items) > 0 {
		top := queue.pop()
		found, ok := find(top.at)
		if !ok || found.rank != top.rank { // one of the two has been merged elsewhere since
			continue
		}
		join(symbols, top.at, found.id)
		offer(symbols[top.at].prev)
		offer(top.at)
	}
	return symbols
}

// spell makes the list of a word's single letters.
func (m *model) spell(word string) []symbol {
	symbols := make([]symbol, 0, len(word))
	for _, letter := range word {
		at := int32(len(symbols))
		symbols = append(symbols, symbol{m.letterIDs[byteOf[letter]], at - 1, at + 1, 1})
	}
	if len(symbols) > 0 {
		symbols[len(symbols)-1].next = -1
	}
	return symbols
}

// join merges the symbol at a place with the next one.
func join(symbols []symbol, at, id int32) {
	left := &symbols[at]
	right := &symbols[left.next]
	left.id, left.length, left.next = id, left.length+right.length, right.next
	right.id = -1
	if left.next >= 0 {
		symbols[left.next].prev = at
	}
}

// ids gives the tokens of a word in letters.
func (m *model) ids(word string) []int {
	var ids []int
	for _, s := range m.split(word) {
		if s.id >= 0 {
			ids = append(ids, int(s.id))
		}
	}
	return ids
}

// Tokenize gives the tokens of a word in letters. Offsets count bytes of the word itself: a letter is one byte.
func (m *model) Tokenize(word string) ([]tokenizer.Token, error) {
	var tokens []tokenizer.Token
	at := 0
	for _, s := range m.split(word) {
		if s.id >= 0 {
			end := at + int(s.length)
			tokens = append(tokens, tokenizer.NewToken(int(s.id), m.tokens[s.id], []int{at, end}))
			at = end
		}
	}
	return tokens, nil
}

// TokenToId gives the id of a token in byte letters.
func (m *model) TokenToId(token string) (int, bool) {
	id, ok := m.vocabulary.IDs[token]
	return id, ok
}

// IdToToken gives the token of an id, in byte letters.
func (m *model) IdToToken(id int) (string, bool) {
	if id < 0 || id >= len(m.tokens) || m.tokens[id] == "" {
		return "", false
	}
	return m.tokens[id], true
}

// GetVocab gives a copy of the tokens with their ids.
func (m *model) GetVocab() map[string]int { return maps.Clone(m.vocabulary.IDs) }

// GetVocabSize is the number of tokens.
func (m *model) GetVocabSize() int { return len(m.vocabulary.IDs) }

// Save writes the vocabulary's files into a folder. The library's prefix is not used.
func (m *model) Save(dir string, _ ...string) error { return m.vocabulary.WriteFiles(dir) }
