package train

import (
	"bytes"
	"math"
	"testing"

	"metalora/pipeline/rng"
)

// A mask drops the stated share, and dropping one element says nothing of its neighbours.
func TestMaskIsIndependentAtItsRate(t *testing.T) {
	const n = 1_000_000
	for _, rate := range []float64{0.01, 0.1, 0.5, 0.9} {
		mask := make([]uint8, n)
		newGaps(rate).fill(mask, n, n, rng.New(1, rate))
		for lag := range 4 {
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
			// Five standard errors; neighbouring pairs share an element, which at most triples their variance.
			if e := math.Sqrt(3 * want * (1 - want) / n); math.Abs(share-want) > 5*e {
				t.Errorf("rate %v, lag %d: dropped together %.5f, want %.5f ± %.5f", rate, lag, share, want, 5*e)
			}
		}
	}
}

// A mask of first tokens is cut out of the mask of all.
func TestMaskOfFirstTokens(t *testing.T) {
	const rows, length, width = 7, 5, 33
	g := newGaps(0.3)
	all, first := make([]uint8, rows*length*width), make([]uint8, rows*width)
	g.fill(all, len(all), len(all), rng.New(1))
	g.fill(first, width, length*width, rng.New(1))
	for row := range rows {
		if at := row * length * width; !bytes.Equal(first[row*width:(row+1)*width], all[at:at+width]) {
			t.Errorf("row %d differs", row)
		}
	}
}

// The gap's table gives what the formula gives.
func TestGapTableAgreesWithTheLogarithm(t *testing.T) {
	for _, rate := range []float64{0.001, 0.1, 0.5, 0.99} {
		g, words := newGaps(rate), rng.New(2)
		for range 100_000 {
			word := words.Uint64()
			u := float64(word>>11+1) / (1 << 53)
			want := int(math.Log(u) / math.Log1p(-rate))
			if got := g.gap(word); got != want {
				t.Fatalf("rate %v, draw %v: gap %d, want %d", rate, u, got, want)
			}
		}
	}
}

func BenchmarkMask(b *testing.B) {
	mask, g := make([]uint8, 1<<20), newGaps(0.1)
	b.SetBytes(1 << 20)
	for i := range b.N {
		g.fill(mask, len(mask), len(mask), rng.New(1, i))
	}
}
