package tokenize

import (
	"errors"
	"fmt"
)

// Batch is token ids as a model takes them: Rows x Length, row-major, short rows padded at their end.
type Batch struct {
	IDs, Mask    []int64 // Mask is 1 for a token and 0 for padding
	Types        []int64 // segment ids, 0 where there is padding
	Rows, Length int
	Tokens       int // without padding
	Cut          int // rows whose context was cut
}

// NewBatch pads rows to the longest with the given id.
func NewBatch(rows [][]int, pad int) Batch {
	b := Batch{Rows: len(rows)}
	for _, row := range rows {
		b.Length = max(b.Length, len(row))
		b.Tokens += len(row)
	}
	n := b.Rows * b.Length
	b.IDs, b.Mask, b.Types = make([]int64, n), make([]int64, n), make([]int64, n)
	for i := range b.IDs {
		b.IDs[i] = int64(pad)
	}
	for r, row := range rows {
		for i, id := range row {
			b.IDs[r*b.Length+i], b.Mask[r*b.Length+i] = int64(id), 1
		}
	}
	return b
}

// RowLength counts a row's tokens up to the last that is none of its padding, and at least one.
func (b Batch) RowLength(row int) int {
	n := b.Length
	for n > 1 && b.Mask[row*b.Length+n-1] == 0 {
		n--
	}
	return n
}

// Pick is a batch of some of the rows, in the order given, cut to a length.
func (b Batch) Pick(rows []int, length int) Batch {
	picked := Batch{Rows: len(rows), Length: length}
	for _, row := range rows {
		at := row * b.Length
		picked.IDs = append(picked.IDs, b.IDs[at:at+length]...)
		picked.Mask = append(picked.Mask, b.Mask[at:at+length]...)
		picked.Types = append(picked.Types, b.Types[at:at+length]...)
	}
	for _, m := range picked.Mask {
		picked.Tokens += int(m)
	}
	return picked
}

// Turn gives one row a candidate, the pair of context and candidate in the form of [Tokenizer.Pair].
//
// Rows of more than maxLength tokens (0: no limit) lose tokens from the front of the context, which lies furthest back.
// The candidate is what the row asks about: one that does not fit by itself is an error.
func (t *Tokenizer) Turn(context string, candidates []string, maxLength int) (Batch, error) {
	if len(candidates) == 0 {
		return Batch{}, errors.New("encoding a turn: it has no candidates")
	}
	if maxLength < 0 {
		return Batch{}, fmt.Errorf("encoding a turn: a longest length of %d tokens is impossible", maxLength)
	}
	before := t.Encode(context)
	rows, second, cut := make([][]int, len(candidates)), make([]int, len(candidates)), 0
	for i, candidate := range candidates {
		ids := t.Encode(candidate)
		kept := before
		if over := len(before) + len(ids) + t.frame.tokens() - maxLength; maxLength > 0 && over > 0 {
			if over > len(before) {
				return Batch{}, fmt.Errorf("encoding a turn: candidate %d has %d tokens; with %d special ones the limit of %d is passed",
					i, len(ids), t.frame.tokens(), maxLength)
			}
			kept, cut = before[over:], cut+1
		}
		rows[i] = t.frame.row(kept, ids)
		second[i] = t.frame.second(kept, len(rows[i]))
	}
	batch := NewBatch(rows, t.pad)
	for r, row := range rows {
		for i := second[r]; i < len(row); i++ {
			batch.Types[r*batch.Length+i] = 1
		}
	}
	batch.Cut = cut
	return batch, nil
}
