package tokenize

import "cmp"

// maxIDs bounds the ids of a vocabulary: four times the largest published one has.
const maxIDs = 1 << 20

// Vocabulary is what a tokenizer's files say: tokens with their ids, merges from the first to the last, special tokens.
type Vocabulary struct {
	IDs     map[string]int // tokens in byte letters
	Merges  [][2]string
	Special Special
}

// Special holds the texts of the special tokens.
type Special struct {
	Start, End, Pad, Unknown, Mask string
}

// RoBERTa has these.
var robertaSpecial = Special{Start: "<s>", End: "</s>", Pad: "<pad>", Unknown: "<unk>", Mask: "<mask>"}

// BERT has these.
var bertSpecial = Special{Start: "[CLS]", End: "[SEP]", Pad: "[PAD]", Unknown: "[UNK]", Mask: "[MASK]"}

// or fills what s leaves empty from t.
func (s Special) or(t Special) Special {
	return Special{
		Start: cmp.Or(s.Start, t.Start), End: cmp.Or(s.End, t.End), Pad: cmp.Or(s.Pad, t.Pad),
		Unknown: cmp.Or(s.Unknown, t.Unknown), Mask: cmp.Or(s.Mask, t.Mask),
	}
}
