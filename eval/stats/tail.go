package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// BinomialTail is P(X >= k) of n throws of a coin that shows heads with probability p: how likely guessing does as well.
// It is the regularised incomplete beta function I_p(k, n-k+1) (Abramowitz and Stegun 26.5.24). NaN where n < 0 or p is no
// probability.
func BinomialTail(k, n int, p float64) float64 {
	switch {
	case n < 0 || !(p >= 0 && p <= 1):
		return math.NaN()
	case k <= 0:
		return 1
	case k > n || p == 0:
		return 0
	case p == 1:
		return 1
	}
	return mathext.RegIncBeta(float64(k), float64(n-k+1), p)
}

// PoissonBinomialTail is P(X >= k) where throw i shows heads with probability p[i], for turns with unequal numbers of
// candidates. It adds one throw at a time to the exact distribution of the heads below k: n * k steps, no approximation.
// NaN where one of p is no probability.
func PoissonBinomialTail(k int, p []float64) float64 {
	for _, x := range p {
		if !(x >= 0 && x <= 1) {
			return math.NaN()
		}
	}
	if k <= 0 {
		return 1
	}
	if k > len(p) {
		return 0
	}
	below := make([]float64, k) // below[j] = P(j heads so far), j < k
	below[0] = 1
	tail := 0.0 // P(k heads were reached); adding small to small keeps a tiny tail's digits
	for _, x := range p {
		tail += below[k-1] * x
		for j := k - 1; j > 0; j-- {
			below[j] = below[j]*(1-x) + below[j-1]*x
		}
		below[0] *= 1 - x
	}
	return min(1, tail)
}
