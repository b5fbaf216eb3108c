package train

import (
	"bytes"
	"math"

	"metalora/pipeline/rng"
)

// gapBits is how many bits of a draw look the gap up in a table: 12 bits settle all but the far tail.
const gapBits = 12

// gaps draws how many elements are kept before the next one is dropped: Geometric(rate), P(gap ≥ k) = (1-rate)^k.
// Dropping by gaps costs one draw for each dropped element instead of one for each element, ten times fewer at 0.1.
type gaps struct {
	logKeep float64
	table   [1 << gapBits]int32 // the gap where the top bits decide it alone, else -1
}

func newGaps(rate float64) *gaps {
	g := &gaps{logKeep: math.Log1p(-rate)}
	for i := range g.table {
		// A draw u in (i/n, (i+1)/n] has gap floor(ln u / ln keep), which falls with u.
		most, least := g.of(float64(i)/float64(len(g.table))), g.of(float64(i+1)/float64(len(g.table)))
		g.table[i] = -1
		if most == least {
			g.table[i] = int32(least)
		}
	}
	return g
}

// of is the gap of a uniform draw; zero is taken as the smallest positive one.
func (g *gaps) of(u float64) int {
	return int(min(math.Log(max(u, 0x1p-54))/g.logKeep, math.MaxInt32))
}

// gap is that of a word of a stream.
func (g *gaps) gap(word uint64) int {
	if gap := g.table[word>>(64-gapBits)]; gap >= 0 {
		return int(gap)
	}
	return g.of(float64(word>>11+1) / (1 << 53))
}

// ones is what a mask is before anything is dropped; copying it is faster than a loop over single bytes.
var ones = [4096]uint8(bytes.Repeat([]byte{1}, 4096))

// fill draws a dropout mask: each element is 1 (kept) with probability 1 - rate, else 0, independently. The mask is the first
// one of every of elements of a larger one that is drawn; where both are its length, all of it. The stream is at its start.
func (g *gaps) fill(mask []uint8, one, of int, s *rng.Stream) {
	for at := 0; at < len(mask); {
		at += copy(mask[at:], ones[:])
	}
	if len(mask) == 0 {
		return
	}
	n := len(mask) / one * of
	var words [64]uint64
	for i := 0; ; {
		s.Fill(words[:])
		for _, word := range words { // only i hangs on the word before, so that many gaps are looked up at once
			i += g.gap(word)
			switch {
			case i >= n:
				return
			case one == of:
				mask[i] = 0
			case i%of < one:
				mask[i/of*one+i%of] = 0
			}
			i++
		}
	}
}
