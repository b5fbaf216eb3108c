package train

import (
	"encoding/binary"
	"math"

	"metalora/pipeline/rng"
)

// octets draws dropout masks eight elements at a time, by Walker's alias method: 256 columns of equal weight stand for the 256
// patterns that eight elements may have. A byte picks a column, and a second number says which of the column's two patterns it is:
// its own below the column's cut, another from there on. The first byte of that number nearly always settles it, so that eight
// elements cost two random bytes, and neither a logarithm nor a branch that goes both ways, whatever the rate.
//
// Elements are independent, each dropped with the probability rate: a pattern with k of its eight dropped has rate^k (1-rate)^(8-k),
// rounded to a multiple of 2^-48; the likeliest pattern makes up for the others. So an element's own probability is within 2^-40
// of rate. Columns are whole numbers that come from products of floats alone: they are the same on every machine.
type octets [256]column

type column struct {
	masks [2]uint64 // eight elements as bytes, the first one lowest: [1] of the column's own pattern, [0] of the other
	cut   uint64    // first eight bits, 0 … 256
	rest  uint64    // restBits more, for a byte that is the same as cut
}

const (
	octetBits  = 48             // a pattern's probability is a multiple of 2^-octetBits
	columnBits = octetBits - 8  // the weight of a column is 2^columnBits such units
	restBits   = columnBits - 8 // bits of a cut beyond its first eight
)

func newOctets(rate float64) *octets {
	const share = 1 << columnBits
	o, left := &octets{}, octetWeights(rate)
	var small, large []int
	for i, weight := range left {
		o[i] = column{masks: [2]uint64{octetMask(i), octetMask(i)}, cut: 1 << 8} // all its own, unless its weight leaves room
		if weight < share {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 { // all weights together fill all columns, so while one is too small another is too large
		i, donor := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		o[i].masks[0] = octetMask(donor)
		o[i].cut, o[i].rest = left[i]>>restBits, left[i]%(1<<restBits)
		if left[donor] -= share - left[i]; left[donor] < share {
			large, small = large[:len(large)-1], append(small, donor)
		}
	}
	return o
}

// octetWeights are the patterns' probabilities in units of 2^-octetBits. Bit i of a pattern says that element i is dropped.
func octetWeights(rate float64) (weights [256]uint64) {
	left := uint64(1) << octetBits
	for pattern := range weights {
		p := 1.0
		for i := range 8 {
			if pattern>>i&1 == 1 {
				p *= rate
			} else {
				p *= 1 - rate
			}
		}
		weights[pattern] = uint64(math.Round(math.Ldexp(p, octetBits)))
		left -= weights[pattern]
	}
	weights[likeliest(rate)] += left // which may be below zero, modulo 2^64
	return weights
}

func likeliest(rate float64) int {
	if rate > 0.5 {
		return 255
	}
	return 0
}

// octetMask writes a pattern as eight bytes of a mask.
func octetMask(pattern int) (mask uint64) {
	for i := range 8 {
		mask |= uint64(^pattern>>i&1) << (8 * i)
	}
	return mask
}

// fill draws a dropout mask: each element is 1 (kept) with probability 1 - rate, else 0, independently. The mask is the first
// one of every of elements of a larger one that is drawn; where both are its length, all of it. Element n of the larger one
// hangs on the stream's name and n alone. The stream is left anywhere.
func (o *octets) fill(mask []uint8, one, of int, s *rng.Stream) {
	draws := s.Bytes()
	for row := 0; len(mask) > 0; row++ {
		o.draw(mask[:one], row*of, draws, s)
		mask = mask[one:]
	}
}

const (
	unit      = 256      // elements that are drawn together
	unitBytes = unit / 4 // and their random bytes: two for eight elements
)

// draw draws the elements of a mask from one on. Units are whole; what is outside the part is thrown away.
func (o *octets) draw(part []uint8, from int, draws *rng.Bytes, s *rng.Stream) {
	var (
		whole [unit]uint8
		ahead []uint8 // bytes that are drawn and not used
	)
	n, skip := from/unit, from%unit
	draws.Seek(uint64(n) * unitBytes / rng.BytesBlock)
	for ; len(part) > 0; n++ {
		if len(ahead) == 0 {
			units := (skip + len(part) + unit - 1) / unit
			ahead = draws.Next(min(units*unitBytes, rng.MostBytes))
		}
		if skip == 0 && len(part) >= unit {
			o.look((*[unit]uint8)(part), (*[unitBytes]uint8)(ahead), n, s)
			part = part[unit:]
		} else {
			o.look(&whole, (*[unitBytes]uint8)(ahead), n, s)
			part = part[copy(part, whole[skip:]):]
			skip = 0
		}
		ahead = ahead[unitBytes:]
	}
}

// look looks up the octets of unit n, two at a time. The arrays' fixed sizes spare it nearly all checks of bounds.
func (o *octets) look(mask *[unit]uint8, bytes *[unitBytes]uint8, n int, s *rng.Stream) {
	for i := 0; i < unit/8; i += 2 {
		out, in := (*[16]uint8)(mask[8*i:]), (*[4]uint8)(bytes[2*i:])
		a, b := &o[in[0]], &o[in[2]]
		toA, toB := uint64(in[1])-a.cut, uint64(in[3])-b.cut     // below zero, and so with the highest bit set, below the cut
		binary.LittleEndian.PutUint64(out[:8], a.masks[toA>>63]) // of an if the compiler would make a branch
		binary.LittleEndian.PutUint64(out[8:], b.masks[toB>>63])
		if toA == 0 {
			binary.LittleEndian.PutUint64(out[:8], a.settle(n*unit/8+i, s))
		}
		if toB == 0 {
			binary.LittleEndian.PutUint64(out[8:], b.settle(n*unit/8+i+1, s))
		}
	}
}

// settle draws the further bits of an octet whose byte is that of the cut. Those of octet n are in the stream's word n.
func (c *column) settle(n int, s *rng.Stream) uint64 {
	s.Seek(uint64(n))
	if s.Uint64()>>(64-restBits) < c.rest {
		return c.masks[1]
	}
	return c.masks[0]
}
