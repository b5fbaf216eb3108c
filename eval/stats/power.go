package stats

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/stat/distuv"
)

// PairedPower is the chance that a two-sided paired t test at the 5 % level finds a mean difference of that size, from n pairs
// whose differences have that standard deviation: the tails of the noncentral t distribution. NaN where n < 2 or the deviation
// is not above zero.
func PairedPower(deviation, difference float64, n int) float64 {
	if n < 2 || !(deviation > 0) {
		return math.NaN()
	}
	degrees := float64(n - 1)
	bound := student(n - 1).Quantile(0.975)
	shift := math.Abs(difference) / deviation * math.Sqrt(float64(n))
	// The statistic is (Z + shift) / (S / √degrees), where S² is chi-squared: given S = s, the tails are normal ones.
	chi := distuv.ChiSquared{K: degrees}
	tails := func(s float64) float64 {
		edge := bound * s / math.Sqrt(degrees)
		return 2 * s * chi.Prob(s*s) * (distuv.UnitNormal.Survival(edge-shift) + distuv.UnitNormal.CDF(-edge-shift))
	}
	const nodes, beyond = 200, 1e-12 // ten digits, by comparison with scipy's nct
	return quad.Fixed(tails, math.Sqrt(chi.Quantile(beyond)), math.Sqrt(chi.Quantile(1-beyond)), nodes, nil, 0)
}

// PairsNeeded is the least number of pairs that show a mean difference of that size with 80 % probability in a two-sided paired t
// test at the 5 % level, where differences have that standard deviation; two at the least. It counts up from the normal
// approximation ((z(0.975) + z(0.8)) · deviation / difference)², which asks for a pair or two too few.
func PairsNeeded(deviation, difference float64) float64 {
	if math.IsNaN(deviation) {
		return math.NaN()
	}
	const power, many = 0.8, 10000 // for many pairs t is normal
	z := distuv.UnitNormal.Quantile(0.975) + distuv.UnitNormal.Quantile(power)
	n := math.Max(2, math.Ceil(math.Pow(z*deviation/difference, 2)))
	for deviation > 0 && n < many && PairedPower(deviation, difference, int(n)) < power {
		n++
	}
	return n
}
