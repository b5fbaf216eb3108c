package train

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"metalora/pipeline/rng"
)

// A mask drops the stated share, and dropping one element says nothing of its neighbours, within an octet or beyond.
func TestMaskIsIndependentAtItsRate(t *testing.T) {
	const n = 1_000_000
	for _, rate := range []float64{0.01, 0.1, 0.5, 0.9} {
		mask := make([]uint8, n)
		newOctets(rate).fill(mask, n, n, rng.New(1, rate))
		for _, lag := range []int{0, 1, 2, 3, 7, 8, unit, 8 * unit} {
			both := 0
			for i := lag; i < n; i++ {
				if mask[i] == 0 && mask[i-lag] == 0 {
					both++
				}
			}
			want := rate
			if lag > 0 {
				want = rate * rate
			}
			share := float64(both) / float64(n-lag)
			// Five standard errors; pairs share an element with two others, which at most triples their variance.
			if e := math.Sqrt(3 * want * (1 - want) / n); math.Abs(share-want) > 5*e {
				t.Errorf("rate %v, lag %d: dropped together %.5f, want %.5f ± %.5f", rate, lag, share, want, 5*e)
			}
		}
	}
}

// Gaps between dropped elements are geometric: chi-square over their counts.
func TestMaskHasGeometricGaps(t *testing.T) {
	const n = 4_000_000
	for _, rate := range []float64{0.03, 0.1, 0.5, 0.9} {
		mask := make([]uint8, n)
		newOctets(rate).fill(mask, n, n, rng.New(2, rate))
		var counts [24]float64 // the last one of all longer gaps
		gap, gaps := 0, 0.0
		for _, kept := range mask {
			if kept == 1 {
				gap++
				continue
			}
			counts[min(gap, len(counts)-1)]++
			gap, gaps = 0, gaps+1
		}
		square, freedom := 0.0, -1.0
		for k, count := range counts {
			p := math.Pow(1-rate, float64(k))
			if k < len(counts)-1 {
				p *= rate
			}
			if want := p * gaps; want > 10 {
				square += (count - want) * (count - want) / want
				freedom++
			}
		}
		if limit := freedom + 5*math.Sqrt(2*freedom); square > limit {
			t.Errorf("rate %v: chi-square of the gaps %.1f with %v degrees of freedom, at most %.1f wanted", rate, square, freedom, limit)
		}
	}
}

// Of the table itself, exactly: what columns give to each pattern is its weight, and weights are the products of rates.
func TestOctetsHaveTheirProbabilities(t *testing.T) {
	for _, rate := range []float64{1e-6, 0.01, 0.1, 0.3, 0.5, 0.51, 0.9, 0.99} {
		got := map[uint64]uint64{}
		for _, c := range newOctets(rate) {
			own := c.cut<<restBits | c.rest
			got[c.masks[1]] += own
			got[c.masks[0]] += 1<<columnBits - own
		}
		dropped, exact := [8]float64{}, big.NewFloat(rate).SetPrec(200)
		kept := new(big.Float).Sub(big.NewFloat(1).SetPrec(200), exact)
		for pattern := range 256 {
			want := big.NewFloat(1 << octetBits).SetPrec(200)
			for i := range 8 {
				if pattern>>i&1 == 1 {
					want.Mul(want, exact)
					dropped[i] += float64(got[octetMask(pattern)]) / (1 << octetBits)
				} else {
					want.Mul(want, kept)
				}
			}
			off, _ := want.Sub(want, new(big.Float).SetUint64(got[octetMask(pattern)])).Float64()
			most := 0.8 // rounding, and what the products before were rounded by
			if pattern == likeliest(rate) {
				most = 128
			}
			if math.Abs(off) > most {
				t.Errorf("rate %v: the weight of pattern %08b is off by %v units", rate, pattern, off)
			}
		}
		for i, p := range dropped {
			if math.Abs(p-rate) > 0x1p-40 {
				t.Errorf("rate %v: element %d is dropped with probability %v", rate, i, p)
			}
		}
	}
}

// Where a byte is that of the cut, the further bits decide. In columns whose cut begins with 0 they alone lead to the own pattern.
func TestOctetsSettle(t *testing.T) {
	const n = 1_000_000
	for _, share := range []float64{0, 0.2, 0.7} {
		var o octets
		for i := range o {
			o[i] = column{masks: [2]uint64{octetMask(0), octetMask(255)}, rest: uint64(share * (1 << restBits))}
		}
		mask := make([]uint8, 8*n)
		o.fill(mask, len(mask), len(mask), rng.New(4, share))
		own := float64(bytes.Count(mask, make([]byte, 8)))
		want := share / 256
		if e := math.Sqrt(want * (1 - want) / n); math.Abs(own/n-want) > 5*e {
			t.Errorf("rest %v: own pattern in %.6f of the draws, want %.6f ± %.6f", share, own/n, want, 5*e)
		}
	}
}

// The first elements of a mask, and a sum over a longer one, are the same on every machine.
func TestMaskBits(t *testing.T) {
	mask, sum := make([]uint8, 100_000), uint64(0)
	newOctets(0.3).fill(mask, len(mask), len(mask), rng.New(1, "mask"))
	for i, kept := range mask {
		sum = sum*31 + uint64(kept) + uint64(i)
	}
	const want, wantSum = "010111110101010011111111101111110111111000010001", 0x613fb8b247130bfe
	if first := strings.Trim(strings.ReplaceAll(fmt.Sprint(mask[:48]), " ", ""), "[]"); first != want || sum != wantSum {
		t.Errorf("a mask of %s… and sum %#x, want %s… and %#x", first, sum, want, wantSum)
	}
}

// Any part of a mask is what it is in the whole one.
func TestMaskInParts(t *testing.T) {
	const n = 20 * unit
	o, s := newOctets(0.3), rng.New(1)
	all := make([]uint8, n)
	o.fill(all, n, n, s)
	where := rng.New(5)
	for range 300 {
		from := where.IntN(n)
		part := make([]uint8, where.IntN(n-from+1))
		o.draw(part, from, s.Bytes(), s)
		if !bytes.Equal(part, all[from:from+len(part)]) {
			t.Fatalf("elements %d … %d differ", from, from+len(part))
		}
	}
}

// A mask of first tokens is cut out of the mask of all.
func TestMaskOfFirstTokens(t *testing.T) {
	const rows, length = 7, 5
	for _, width := range []int{33, 384} {
		o := newOctets(0.3)
		all, first := make([]uint8, rows*length*width), make([]uint8, rows*width)
		o.fill(all, len(all), len(all), rng.New(1))
		o.fill(first, width, length*width, rng.New(1))
		for row := range rows {
			if at := row * length * width; !bytes.Equal(first[row*width:(row+1)*width], all[at:at+width]) {
				t.Errorf("width %d: row %d differs", width, row)
			}
		}
	}
}

func BenchmarkMask(b *testing.B) {
	for _, rate := range []float64{0.01, 0.1, 0.5} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			mask, o := make([]uint8, 1<<20), newOctets(rate)
			b.SetBytes(1 << 20)
			for i := range b.N {
				o.fill(mask, len(mask), len(mask), rng.New(1, i))
			}
		})
	}
}
