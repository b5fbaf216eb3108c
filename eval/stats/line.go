package stats

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Line is the least-squares line through points, y = Intercept + Slope x.
type Line struct {
	N         int      `json:"n"`
	Intercept float64  `json:"intercept"`
	Slope     float64  `json:"slope"`
	Interval  Interval `json:"interval"` // of the slope, Student's t with n-2 degrees of freedom
}

// FitLine fits a line to points (x[i], y[i]) with an interval of the slope at a level such as 0.95. It needs two different x;
// the interval needs three points. What the points are too few for is NaN.
func FitLine(x, y []float64, level float64) Line {
	nan := math.NaN()
	l := Line{N: len(x), Intercept: nan, Slope: nan, Interval: Interval{nan, nan}}
	if len(x) != len(y) || len(x) < 2 {
		return l
	}
	l.Intercept, l.Slope = stat.LinearRegression(x, y, nil, false)
	if len(x) < 3 {
		return l
	}
	squares := 0.0
	for i := range x {
		r := y[i] - l.Intercept - l.Slope*x[i]
		squares += r * r
	}
	degrees := len(x) - 2
	spread := stat.Variance(x, nil) * float64(len(x)-1)
	half := math.Sqrt(squares/float64(degrees)/spread) * student(degrees).Quantile((1+level)/2)
	l.Interval = Interval{l.Slope - half, l.Slope + half}
	return l
}

// ShareInterval is Clopper and Pearson's exact interval of a probability of which k of n trials came true (1934). NaN where n < 1 or k
// is not among 0 … n.
func ShareInterval(k, n int, level float64) Interval {
	if n < 1 || k < 0 || k > n {
		return Interval{math.NaN(), math.NaN()}
	}
	tail := (1 - level) / 2
	i := Interval{0, 1}
	if k > 0 {
		i.Low = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(tail)
	}
	if k < n {
		i.High = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(1 - tail)
	}
	return i
}
