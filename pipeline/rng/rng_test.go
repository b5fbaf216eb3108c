package rng

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The known answers that the authors of Philox publish with their library (Random123, kat_vectors, philox4x64 10).
func TestPhiloxKnownAnswers(t *testing.T) {
	const ones = ^uint64(0)
	cases := []struct {
		name    string
		counter [4]uint64
		key     [2]uint64
		want    [4]uint64
	}{
		{"zeros", [4]uint64{}, [2]uint64{}, [4]uint64{0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b}},
		{"ones", [4]uint64{ones, ones, ones, ones}, [2]uint64{ones, ones}, [4]uint64{0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0}},
		{"pi", [4]uint64{0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89}, [2]uint64{0x452821e638d01377, 0xbe5466cf34e90c6c}, [4]uint64{0xa528f45403e61d95, 0x38c72dbd566e9788, 0xa5a1610e72fd18b5, 0x57bd43b5e52b7fe6}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := philox(c.counter, c.key); got != c.want {
				t.Errorf("got %x, want %x", got, c.want)
			}
		})
	}
}

func TestSeekContinuesTheStream(t *testing.T) {
	all := New(7, "a", 1)
	var words []uint64
	for range 23 {
		words = append(words, all.Uint64())
	}
	for n := range words {
		s := New(7, "a", 1)
		s.Seek(uint64(n))
		var rest []uint64
		for range len(words) - n {
			rest = append(rest, s.Uint64())
		}
		if diff := cmp.Diff(words[n:], rest); diff != "" {
			t.Fatalf("after Seek(%d): %s", n, diff)
		}
		if s.Count() != all.Count() {
			t.Fatalf("after Seek(%d): count %d, want %d", n, s.Count(), all.Count())
		}
	}
}

func TestNamesSeparateStreams(t *testing.T) {
	seen := map[uint64]string{}
	for name, s := range map[string]*Stream{"a": New(1, "a"), "b": New(1, "b"), "seed 2": New(2, "a"), "a/b": New(1, "a", "b")} {
		word := s.Uint64()
		if other, ok := seen[word]; ok {
			t.Errorf("%s and %s begin alike", name, other)
		}
		seen[word] = name
	}
}

// Means and variances of 100,000 draws lie within five standard errors of the distribution's.
func TestMoments(t *testing.T) {
	const n = 100_000
	cases := []struct {
		name           string
		draw           func(*Stream) float64
		mean, variance float64
		fourth         float64 // central fourth moment, for the variance's standard error
	}{
		{"Float64", (*Stream).Float64, 0.5, 1.0 / 12, 1.0 / 80},
		{"Uniform", func(s *Stream) float64 { return s.Uniform(3) }, 0, 3, 81.0 / 5},
		{"Normal", (*Stream).Normal, 0, 1, 3},
		{"IntN", func(s *Stream) float64 { return float64(s.IntN(10)) }, 4.5, 8.25, 120.8625},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, sum, squares := New(3, c.name), 0.0, 0.0
			for range n {
				x := c.draw(s) - c.mean
				sum += x
				squares += x * x
			}
			if e := math.Sqrt(c.variance / n); math.Abs(sum/n) > 5*e {
				t.Errorf("mean is off by %v, standard error %v", sum/n, e)
			}
			if e := math.Sqrt((c.fourth - c.variance*c.variance) / n); math.Abs(squares/n-c.variance) > 5*e {
				t.Errorf("variance %v, want %v within 5 x %v", squares/n, c.variance, e)
			}
		})
	}
}

func TestPermHasEveryIndexEverywhere(t *testing.T) {
	s, counts := New(5, "perm"), [4][4]int{}
	for range 24_000 {
		for at, i := range s.Perm(4) {
			counts[at][i]++
		}
	}
	for at, row := range counts {
		for i, n := range row {
			if n < 5_600 || n > 6_400 { // 6,000 ± 6 standard deviations of 67
				t.Errorf("index %d stands at %d in %d of 24,000 permutations", i, at, n)
			}
		}
	}
}
