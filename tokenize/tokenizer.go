// Package tokenize turns text into token ids and token ids into padded batches.
//
// A text is cut into words, and each word into pieces that the vocabulary knows. Words never touch each other, so a word's
// ids can be remembered. There are three ways to do it. Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019), RoBERTa's:
// a word is spelt in bytes, and neighbouring pieces are merged, the pair that training met first before all others.
// WordPiece (Schuster & Nakajima 2012; Devlin et al. 2018), BERT's: the longest known piece from the front, again and again.
// Unigram (Kudo 2018), XLM-R's: the pieces whose probabilities have the largest product.
//
// Models and pipeline are github.com/sugarme/tokenizer's. Some of its parts are ours, because v0.3.0 gives other ids than
// Hugging Face's tokenizers: BPE's model (ties between equal merges go to the left-most pair), unigram, and every way to cut a
// text into words. Only the files and numbers of Hugging Face count: for every text the ids are the same.
package tokenize

import "fmt"

// Tokenizer is a vocabulary ready for use. It is safe for concurrent use.
type Tokenizer struct {
	scheme scheme
	frame  frame
	size   int
	pad    int
}

// scheme turns a text of valid UTF-8 into ids and back.
type scheme interface {
	encode(text string) []int
	decode(ids []int) string
}

// New makes the tokenizer of a vocabulary of byte-level BPE, which is checked first. An error names the merge or token
// that is wrong.
func New(v *Vocabulary) (*Tokenizer, error) {
	return newTokenizer(v, func(i int) string { return fmt.Sprintf("merge %d", i+1) })
}

// newTokenizer is New where place says in which file and line merge i stands.
func newTokenizer(v *Vocabulary, place func(i int) string) (*Tokenizer, error) {
	model, err := newModel(v, place)
	if err != nil {
		return nil, err
	}
	return assemble(newBytePairs(model), v, len(model.tokens), false)
}

// assemble looks up the special tokens.
func assemble(s scheme, v *Vocabulary, size int, segments bool) (*Tokenizer, error) {
	t := &Tokenizer{scheme: s, size: size, frame: frame{segments: segments}}
	for _, s := range []struct {
		id   *int
		text string
	}{{&t.frame.start, v.Special.Start}, {&t.frame.end, v.Special.End}, {&t.pad, v.Special.Pad}} {
		id, ok := v.IDs[s.text]
		if !ok {
			return nil, fmt.Errorf("special token %q is not in the vocabulary", s.text)
		}
		*s.id = id
	}
	return t, nil
}

// Size is the number of rows that an embedding of these tokens needs: the largest id plus one.
func (t *Tokenizer) Size() int { return t.size }

// PadID is the id of <pad> or [PAD].
func (t *Tokenizer) PadID() int { return t.pad }

// Segments is how many kinds of segment a pair has: 2 where its second text stands apart by segment ids.
func (t *Tokenizer) Segments() int {
	if t.frame.segments {
		return 2
	}
	return 1
}

// Encode gives the ids of a text. No special tokens are added, and special tokens that stand in the text are text.
// Bytes that are no UTF-8 count as U+FFFD, as in a file that Python read with errors="replace".
func (t *Tokenizer) Encode(text string) []int { return t.scheme.encode(wellFormed(text)) }

// Single gives `<s> a </s>`, or `[CLS] a [SEP]`.
func (t *Tokenizer) Single(a string) []int { return t.frame.row(t.Encode(a)) }

// Pair gives a pair of texts in the experiment's form: RoBERTa's is `<s> a </s><s> b </s>` (Hugging Face's own has
// `</s></s>` between), BERT's its own: `[CLS] a [SEP] b [SEP]`. types are the segment ids, 0 but for BERT's `b [SEP]`.
func (t *Tokenizer) Pair(a, b string) (ids, types []int) {
	first := t.Encode(a)
	ids = t.frame.row(first, t.Encode(b))
	types = make([]int, len(ids))
	for i := t.frame.second(first, len(ids)); i < len(types); i++ {
		types[i] = 1
	}
	return ids, types
}

// Decode gives the text of ids. For byte-level BPE it is the inverse of Encode for every text of valid UTF-8; WordPiece
// has forgotten blanks, and case and accents where it lowers them. Special tokens are written out, ids outside the
// vocabulary are left out, and half a character becomes U+FFFD.
func (t *Tokenizer) Decode(ids []int) string { return t.scheme.decode(ids) }
