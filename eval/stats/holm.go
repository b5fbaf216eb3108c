package stats

import (
	"cmp"
	"math"
	"slices"
)

// Holm adjusts the p-values of one family so that the chance of any false alarm in it stays below the level: the i-th
// smallest of m (from 0) is multiplied by m-i and never falls below the one before it (Holm 1979). NaN stays NaN, and
// still counts in m.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank(p[a]), rank(p[b])) })
	adjusted := make([]float64, len(p))
	floor := 0.0
	for i, at := range order {
		if math.IsNaN(p[at]) {
			adjusted[at] = math.NaN()
			continue
		}
		floor = max(floor, min(1, p[at]*float64(len(p)-i)))
		adjusted[at] = floor
	}
	return adjusted
}

// rank puts NaN behind every p-value.
func rank(p float64) float64 {
	if math.IsNaN(p) {
		return math.Inf(1)
	}
	return p
}
