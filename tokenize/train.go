package tokenize

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// smallest is the size of a vocabulary without merges: 256 bytes, four special tokens before them, <mask> behind.
const smallest = 4 + 256 + 1

// Train makes a byte-level BPE vocabulary of at most size tokens: it merges the most frequent pair of neighbours, again
// and again, until the size is reached or no pair occurs twice. Of equally frequent pairs the one with the smaller text
// comes first, so the same texts give the same vocabulary in any order. The ids are laid out as RoBERTa's: <s> 0,
// <pad> 1, </s> 2, <unk> 3, the bytes, the merges in order, <mask> last.
func Train(texts iter.Seq[string], size int) (*Vocabulary, error) {
	if size < smallest || size > maxIDs {
		return nil, fmt.Errorf("training a vocabulary: %d tokens are outside %d … %d", size, smallest, maxIDs)
	}
	t := newTrainer(texts)
	for len(t.tokens) < size-1 {
		best, ok := t.best()
		if !ok {
			break
		}
		t.merge(best)
	}
	s := robertaSpecial
	v := &Vocabulary{IDs: map[string]int{s.Start: 0, s.Pad: 1, s.End: 2, s.Unknown: 3}, Merges: t.merges, Special: s}
	for id, token := range t.tokens[4:] {
		v.IDs[token] = id + 4
	}
	v.IDs[s.Mask] = len(t.tokens)
	return v, nil
}

// trainer counts pairs in the different words of the texts and keeps the counts right while it merges.
type trainer struct {
	tokens []string // by id; the first four are left to the special tokens
	ids    map[string]int32
	merges [][2]string
	merged map[pair]bool
	words  []trainWord
	counts map[pair]int
	where  map[pair][]int // words that hold a pair, or once held it
	queue  heap[counted]
}

// trainWord is a word in its present pieces, and how often it occurs.
type trainWord struct {
	pieces []int32
	count  int
}

// counted is a pair with the count it had when it was queued.
type counted struct {
	pair  pair
	count int
}

func newTrainer(texts iter.Seq[string]) *trainer {
	t := &trainer{tokens: make([]string, 4), ids: map[string]int32{}, merged: map[pair]bool{}, counts: map[pair]int{}, where: map[pair][]int{}}
	t.queue.before = t.before
	sorted := slices.Sorted(slices.Values(letterOf[:])) // the alphabet's order in Hugging Face's trainer
	for _, letter := range sorted {
		t.add(string(letter))
	}
	for _, w := range countWords(texts) {
		pieces := make([]int32, len(w.text))
		for i := range len(w.text) {
			pieces[i] = t.ids[string(letterOf[w.text[i]])]
		}
		t.words = append(t.words, trainWord{pieces, w.count})
		t.tally(len(t.words)-1, 1, func(p pair) { t.where[p] = append(t.where[p], len(t.words)-1) })
	}
	for p, n := range t.counts {
		t.queue.push(counted{p, n})
	}
	return t
}

// wordCount is a word and how often it occurs.
type wordCount struct {
	text  string
	count int
}

// countWords counts the words of the texts, cut as Encode cuts them, and sorts them by text.
func countWords(texts iter.Seq[string]) []wordCount {
	counts := map[string]int{}
	for text := range texts {
		for word := range words(wellFormed(text)) {
			if n, ok := counts[word]; ok {
				counts[word] = n + 1
			} else {
				counts[strings.Clone(word)] = 1
			}
		}
	}
	var out []wordCount
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, wordCount{word, counts[word]})
	}
	return out
}

// add gives a token its id; different merges may give the same token.
func (t *trainer) add(token string) int32 {
	id, ok := t.ids[token]
	if !ok {
		id = int32(len(t.tokens))
		t.tokens, t.ids[token] = append(t.tokens, token), id
	}
	return id
}

// before puts frequent pairs first, and equally frequent ones in the order of their texts.
func (t *trainer) before(a, b counted) bool {
	if a.count != b.count {
		return a.count > b.count
	}
	if left, other := t.tokens[a.pair.left], t.tokens[b.pair.left]; left != other {
		return left < other
	}
	return t.tokens[a.pair.right] < t.tokens[b.pair.right]
}

// best takes the most frequent pair out of the queue. Counts in the queue may be too high, since merges take pairs away:
// such a pair is queued again. They are never too low, since merge queues what it adds.
func (t *trainer) best() (pair, bool) {
	for len(t.queue.items) > 0 {
		top := t.queue.pop()
		now := t.counts[top.pair]
		switch {
		case now < 2:
		case now == top.count:
			return top.pair, true
		case now < top.count:
			t.queue.push(counted{top.pair, now})
		}
	}
	return pair{}, false
}

// merge joins a pair wherever it stands.
func (t *trainer) merge(p pair) {
	texts := [2]string{t.tokens[p.left], t.tokens[p.right]}
	if !t.merged[p] { // a token that comes about in two ways can bring a merged pair back
		t.merged[p] = true
		t.merges = append(t.merges, texts)
	}
	id := t.add(texts[0] + texts[1])
	added := map[pair]bool{}
	for _, w := range t.where[p] {
		word := &t.words[w]
		joined := replacePair(word.pieces, p, id)
		if len(joined) == len(word.pieces) {
			continue // an earlier merge took the pair out of this word
		}
		t.tally(w, -1, nil)
		word.pieces = joined
		t.tally(w, 1, func(q pair) {
			if q.left == id || q.right == id {
				t.where[q] = append(t.where[q], w)
				added[q] = true
			}
		})
	}
	delete(t.where, p)
	for q := range added {
		t.queue.push(counted{q, t.counts[q]})
	}
}

// tally adds a word's pairs to the counts, or with sign -1 takes them away, and shows each of them to see.
func (t *trainer) tally(w, sign int, see func(pair)) {
	word := t.words[w]
	for i := range len(word.pieces) - 1 {
		p := pair{word.pieces[i], word.pieces[i+1]}
		t.counts[p] += sign * word.count
		if see != nil {
			see(p)
		}
	}
}

// replacePair writes a word anew with every occurrence of a pair, from the left, as one piece.
func replacePair(pieces []int32, p pair, id int32) []int32 {
	joined := make([]int32, 0, len(pieces))
	for i := 0; i < len(pieces); i++ {
		if i+1 < len(pieces) && pieces[i] == p.left && pieces[i+1] == p.right {
			joined = append(joined, id)
			i++
		} else {
			joined = append(joined, pieces[i])
		}
	}
	return joined
}
