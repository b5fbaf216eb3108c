// Package rng gives named, counter-based streams of random numbers.
//
// A stream is a key, made from a seed and a name, and a counter. The n-th number depends on the key and n alone, so a
// checkpoint needs to hold nothing but the counter, and streams of different names never depend on who draws first.
// The generator is Philox4x64-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). Who needs
// millions of numbers, as dropout does, takes [Bytes], which are AES in counter mode.
package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Stream is a position in a named sequence of random 64-bit words. The zero Stream is usable but nameless.
type Stream struct {
	key   [2]uint64
	count uint64    // words drawn so far
	block [4]uint64 // the block that holds the next word, where count%4 != 0
}

// New opens the stream of that name at its start. Parts of a name are joined by '/'.
func New(seed uint64, name ...any) *Stream {
	text := fmt.Sprint(seed)
	for _, part := range name {
		text += "/" + fmt.Sprint(part)
	}
	sum := sha256.Sum256([]byte(text))
	return &Stream{key: [2]uint64{binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])}}
}

// Count is how many words have been drawn: all the state a checkpoint needs.
func (s *Stream) Count() uint64 { return s.count }

// Seek moves the stream to just before word n.
func (s *Stream) Seek(n uint64) {
	s.count = n
	if n%4 != 0 {
		s.block = philox([4]uint64{n / 4}, s.key)
	}
}

// Uint64 draws the next word. It makes a Stream a math/rand/v2 Source.
func (s *Stream) Uint64() uint64 {
	i := s.count % 4
	if i == 0 {
		s.block = philox([4]uint64{s.count / 4}, s.key)
	}
	s.count++
	return s.block[i]
}

// Float64 draws uniformly from [0, 1), with 53 bits.
func (s *Stream) Float64() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// Uniform draws uniformly from [-bound, bound).
func (s *Stream) Uniform(bound float64) float64 { return (2*s.Float64() - 1) * bound }

// Normal draws from N(0, 1) by Box and Muller's transform: two words a number, so the counter stays simple.
func (s *Stream) Normal() float64 {
	u, v := 1-s.Float64(), s.Float64()
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// IntN draws uniformly from [0, n). It panics where n < 1.
func (s *Stream) IntN(n int) int {
	if n < 1 {
		panic("rng: IntN of a range that is empty")
	}
	// Lemire's multiplication method, unbiased by rejection.
	limit := -uint64(n) % uint64(n)
	for {
		hi, lo := bits.Mul64(s.Uint64(), uint64(n))
		if lo >= limit {
			return int(hi)
		}
	}
}

// Perm draws a permutation of 0 … n-1 (Fisher and Yates).
func (s *Stream) Perm(n int) []int {
	p := make([]int, n)
	for i := range p {
		j := s.IntN(i + 1)
		p[i] = p[j]
		p[j] = i
	}
	return p
}

// philox is ten rounds of Philox4x64 on a counter under a key. It takes two at a time, after which words are in their places again.
func philox(c [4]uint64, k [2]uint64) [4]uint64 {
	const (
		m0, m1 = 0xD2E7470EE14C6C93, 0xCA5A826395121157 // multipliers of the paper's table 2
		w0, w1 = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B // Weyl increments: golden ratio, sqrt(3)-1
	)
	c0, c1, c2, c3, k0, k1 := c[0], c[1], c[2], c[3], k[0], k[1]
	for range 5 {
		hi0, lo0 := bits.Mul64(m0, c0)
		hi1, lo1 := bits.Mul64(m1, c2)
		c0, c2 = hi1^c1^k0, hi0^c3^k1
		k0, k1 = k0+w0, k1+w1
		hi0, c3 = bits.Mul64(m0, c0)
		hi1, c1 = bits.Mul64(m1, c2)
		c0, c2 = hi1^lo1^k0, hi0^lo0^k1
		k0, k1 = k0+w0, k1+w1
	}
	return [4]uint64{c0, c1, c2, c3}
}
