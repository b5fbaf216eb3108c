package train

import (
	"math"
	"testing"

	"metalora/pipeline/rng"
)

// A mask drops the stated share, and dropping one element says nothing of its neighbours.
func TestMaskIsIndependentAtItsRate(t *testing.T) {
	const n = 1_000_000
	for _, rate := range []float64{0.01, 0.1, 0.5, 0.9} {
		mask := make([]uint8, n)
		newGaps(rate).fill(mask, rng.New(1, rate))
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

// The gap's table gives what the formula gives.
func TestGapTableAgreesWithTheLogarithm(t *testing.T) {
	for _, rate := range []float64{0.001, 0.1, 0.5, 0.99} {
		g, s, again := newGaps(rate), rng.New(2), rng.New(2)
		for range 100_000 {
			u := float64(again.Uint64()>>11+1) / (1 << 53)
			want := int(math.Log(u) / math.Log1p(-rate))
			if got := g.draw(s); got != want {
				t.Fatalf("rate %v, draw %v: gap %d, want %d", rate, u, got, want)
			}
		}
	}
}

func BenchmarkMask(b *testing.B) {
	mask, g := make([]uint8, 1<<20), newGaps(0.1)
	b.SetBytes(1 << 20)
	for i := range b.N {
		g.fill(mask, rng.New(1, i))
	}
}
