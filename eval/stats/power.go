package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// PairsNeeded is how many pairs show a mean difference of that size with 80 % probability in a two-sided test at the 5 %
// level, where differences have that standard deviation: ((z(0.975) + z(0.8)) · deviation / difference)², rounded up, two
// at the least. It is the normal approximation, which asks for a pair or two too few where the answer is below ten.
func PairsNeeded(deviation, difference float64) float64 {
	if math.IsNaN(deviation) {
		return math.NaN()
	}
	z := distuv.UnitNormal.Quantile(0.975) + distuv.UnitNormal.Quantile(0.8)
	return math.Max(2, math.Ceil(math.Pow(z*deviation/difference, 2)))
}
