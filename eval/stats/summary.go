// Package stats holds the few statistics a comparison of training methods needs.
//
// Think of a table with one number a task. The tasks are the sample: a mean over them has a standard error over them, and
// two methods that met the same tasks are compared by their differences, task by task. Distributions come from gonum; what
// gonum lacks (sign flips, a sum of unequal coins, Holm's correction, resampling of whole dialogues) is here.
// A quantity that the sample is too small for is NaN, never zero.
package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is a confidence interval, NaN at both ends where the sample is too small for one.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Mean is the arithmetic mean, NaN of nothing.
func Mean(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	return stat.Mean(x, nil)
}

// Median is the middle value, or the mean of the middle two; NaN of nothing. x is not changed.
func Median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(x))
	return (sorted[(len(x)-1)/2] + sorted[len(x)/2]) / 2
}

// StandardDeviation is the sample's, with n-1 in the denominator; NaN of fewer than two values.
func StandardDeviation(x []float64) float64 {
	if len(x) < 2 {
		return math.NaN()
	}
	return stat.StdDev(x, nil)
}

// StandardError is that of the mean: standard deviation / sqrt(n); NaN of fewer than two values.
func StandardError(x []float64) float64 {
	return StandardDeviation(x) / math.Sqrt(float64(len(x)))
}

// MeanInterval is Student's t interval of the mean at a level such as 0.95: mean ± t(n-1) * standard error.
func MeanInterval(x []float64, level float64) Interval {
	if len(x) < 2 {
		return Interval{math.NaN(), math.NaN()}
	}
	half := StandardError(x) * student(len(x)-1).Quantile((1+level)/2)
	return Interval{Mean(x) - half, Mean(x) + half}
}

// student is Student's t distribution of that many degrees of freedom.
func student(degrees int) distuv.StudentsT {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(degrees)}
}
