package stats

import (
	"cmp"
	"math"
	"slices"
)

// Wilcoxon is the two-sided p of the signed-rank test (Wilcoxon 1945) of the hypothesis that differences are symmetric about
// zero. Zeros are left out; equal sizes share the mean of their ranks. Up to 20 differences every sign pattern is
// counted, ties and all, where tables and normal approximations know none; exact says so. No differences but zeros: 1.
func Wilcoxon(d []float64) (p float64, exact bool) { return SignFlip(signedRanks(d)) }

// signedRanks are the ranks of the sizes of the differences other than zero, from 1, with the differences' signs.
// Sizes that differ by rounding alone are equal.
func signedRanks(d []float64) []float64 {
	kept := slices.DeleteFunc(slices.Clone(d), func(x float64) bool { return x == 0 })
	slices.SortFunc(kept, func(a, b float64) int { return cmp.Compare(math.Abs(a), math.Abs(b)) })
	ranks := make([]float64, len(kept))
	for i := 0; i < len(kept); {
		j := i + 1
		for j < len(kept) && math.Abs(kept[j]) <= math.Abs(kept[i])*(1+1e-9) {
			j++
		}
		for k := i; k < j; k++ {
			ranks[k] = math.Copysign(float64(i+j+1)/2, kept[k]) // mean of i+1 … j
		}
		i = j
	}
	return ranks
}
