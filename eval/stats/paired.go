package stats

import (
	"fmt"
	"math"
	"math/bits"

	"metalora/pipeline/rng"
)

const (
	exactPairs = 20     // up to 2^19 sign patterns are counted one by one: some milliseconds
	flips      = 100000 // random sign patterns beyond that: a p of 0.05 is known to 0.0007
)

// Paired is what pairs of numbers, one pair a task, say about the difference of two methods.
type Paired struct {
	N             int      `json:"n"`
	Difference    float64  `json:"difference"` // mean of a - b
	StandardError float64  `json:"standard_error"`
	Interval      Interval `json:"interval"`    // 95 %, Student's t
	SignFlip      float64  `json:"p_sign_flip"` // two-sided
	Exact         bool     `json:"exact"`       // every sign pattern was counted; else they were drawn
	T             float64  `json:"t"`
	Student       float64  `json:"p_t"`         // two-sided
	Effect        float64  `json:"effect_size"` // Cohen's d_z: mean difference / its standard deviation
}

// Compare tests whether a and b, paired by position, differ in mean. It needs one pair; what needs two is NaN then.
func Compare(a, b []float64) (Paired, error) {
	if len(a) != len(b) || len(a) == 0 {
		return Paired{}, fmt.Errorf("comparing pairs: %d and %d values, want as many of both and at least one", len(a), len(b))
	}
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
		if math.IsNaN(d[i]) || math.IsInf(d[i], 0) {
			return Paired{}, fmt.Errorf("comparing pairs: pair %d, %v and %v, has no difference", i, a[i], b[i])
		}
	}
	p := Paired{N: len(d), Difference: Mean(d), StandardError: StandardError(d), Interval: MeanInterval(d, 0.95)}
	p.SignFlip, p.Exact = SignFlip(d)
	p.Effect = p.Difference / StandardDeviation(d)
	p.T = p.Difference / p.StandardError
	p.Student = math.NaN()
	if len(d) > 1 && !math.IsNaN(p.T) {
		p.Student = 2 * student(len(d)-1).Survival(math.Abs(p.T))
	}
	return p, nil
}

// SignFlip is the two-sided p of the hypothesis that each difference is as likely as its negative: the share of the 2^n sign
// patterns whose sum is at least as far from zero as the one seen (Fisher's randomisation test for pairs). Beyond 20
// differences the patterns are drawn from a fixed stream and the seen one is counted in, which keeps the test valid.
func SignFlip(d []float64) (p float64, exact bool) {
	sum, size := 0.0, 0.0
	for _, x := range d {
		sum += x
		size += math.Abs(x)
	}
	// Sums that are equal on paper differ by rounding; accuracies tie often, and a lost tie would make p too small.
	bound := math.Abs(sum) - 1e-9*size
	if len(d) <= exactPairs {
		return countFlips(d, sum, bound), true
	}
	return drawFlips(d, bound), false
}

// countFlips goes through the patterns in Gray code, one sign a step. The first sign stays: its flip mirrors every sum.
func countFlips(d []float64, sum, bound float64) float64 {
	if len(d) == 0 {
		return 1
	}
	negative := make([]bool, len(d))
	patterns := 1 << (len(d) - 1)
	hits := 0
	for i := 1; ; i++ {
		if math.Abs(sum) >= bound {
			hits++
		}
		if i == patterns {
			return float64(hits) / float64(patterns)
		}
		j := 1 + bits.TrailingZeros(uint(i))
		if negative[j] {
			sum += 2 * d[j]
		} else {
			sum -= 2 * d[j]
		}
		negative[j] = !negative[j]
	}
}

func drawFlips(d []float64, bound float64) float64 {
	stream := rng.New(0, "eval", "sign-flip", len(d))
	hits := 1
	for range flips {
		sum, signs := 0.0, uint64(0)
		for i, x := range d {
			if i%64 == 0 {
				signs = stream.Uint64()
			}
			if signs&1 == 0 {
				x = -x
			}
			sum += x
			signs >>= 1
		}
		if math.Abs(sum) >= bound {
			hits++
		}
	}
	return float64(hits) / (flips + 1)
}

// SmallestP is the smallest p that a two-sided sign-flip test of n pairs can give: with five pairs nothing falls below 0.0625.
func SmallestP(n int) float64 { return min(1, math.Ldexp(2, -n)) }
