package linear

import (
	"fmt"
	"strings"

	"metalora/eval"
	"metalora/eval/chart"
)

// endFigure draws the error after the last step against what varies.
func (c *Config) endFigure(r *Results, f figure) eval.Figure {
	x := chart.New("Error on the new task against the "+f.title, fmt.Sprintf("After the last step. Mean over %d runs; band: smallest to largest.", c.Runs),
		f.name, "|(W* - W) X|²")
	x.Y.Log = true
	values := f.values(c)
	x.X.Log = values[len(values)-1] >= 10*values[0]
	x.X.Whole = !x.X.Log
	for i, noise := range c.Noise {
		for j, method := range []string{NameSR, NameMeta} {
			var points []chart.Point
			for n, p := range f.points(c) {
				s := spreadOf(r.lines(f, p, noise, method), Adapted.Last)
				points = append(points, chart.Point{X: float64(values[n]), Y: s.mean, Low: s.low, High: s.high})
			}
			x.Line(fmt.Sprintf("%s, σ = %g", method, noise), 2*i+j, points)
		}
	}
	return eval.Figure{Name: "error-by-" + f.file(), Chart: x,
		Caption: fmt.Sprintf("Error of the new task over its own samples, without noise, after %d steps of LoRA, by %s. The rest as in point: %s.", f.steps(c), f.title, c.Point)}
}

// file is what varies, as part of a file name.
func (f figure) file() string { return strings.ReplaceAll(f.key, "_", "-") }

// courseFigure draws the error step by step, as the paper does.
func (c *Config) courseFigure(r *Results, f figure, noise float64) eval.Figure {
	x := chart.New(fmt.Sprintf("Learning the new task, by %s, σ = %g", f.title, noise), fmt.Sprintf("Mean over %d runs; band: smallest to largest.", c.Runs),
		"step", "|(W* - W) X|²")
	x.Y.Log, x.X.Min, x.X.Max = true, 0, float64(f.steps(c))
	values := f.values(c)
	for m, method := range []string{NameSR, NameMeta} {
		for i, p := range f.points(c) {
			runs := r.lines(f, p, noise, method)
			if len(runs) == 0 {
				continue
			}
			var points []chart.Point
			for at, step := range runs[0].Steps {
				s := spreadOf(runs, func(a Adapted) float64 { return a.Errors[at] })
				points = append(points, chart.Point{X: float64(step), Y: s.mean, Low: s.low, High: s.high})
			}
			x.Line(fmt.Sprintf("%s, %s = %d", method, f.name, values[i]), 3*m+i, points)
		}
	}
	return eval.Figure{Name: fmt.Sprintf("course-by-%s-noise-%g", f.file(), noise), Chart: x,
		Caption: fmt.Sprintf("The paper's figure: error of the new task while LoRA learns it, from each retrained base, by %s, with noise of standard deviation %g.", f.title, noise)}
}

// recoveryFigure draws how near retraining comes to where the theorems say it ends.
func (c *Config) recoveryFigure(r *Results) eval.Figure {
	x := chart.New("Where retraining ends", fmt.Sprintf("T = %d. Mean over %d runs; band: smallest to largest.", c.Point.Tasks, c.Runs),
		"N, samples of a retraining task", "distance (Frobenius norm)")
	x.X.Log, x.Y.Log = true, true
	for i, noise := range c.Noise {
		for j, of := range []struct {
			name, method string
			value        func(Recovered) float64
		}{{"SR from A* + mean U*U*ᵀ", NameSR, func(r Recovered) float64 { return r.FromMid }},
			{"Meta-LoRA from A*", NameMeta, func(r Recovered) float64 { return r.FromTruth }}} {
			var points []chart.Point
			for _, n := range c.Recovery.Samples {
				s := spreadOf(where(r.Recovered, func(x Recovered) bool {
					return x.Noise == noise && x.Method == of.method && x.Point.Tasks == c.Point.Tasks && x.Point.Samples == n
				}), of.value)
				points = append(points, chart.Point{X: float64(n), Y: s.mean, Low: s.low, High: s.high})
			}
			x.Line(fmt.Sprintf("%s, σ = %g", of.name, noise), 2*i+j, points)
		}
	}
	return eval.Figure{Name: "recovery", Chart: x,
		Caption: "Distance of the retrained matrix from the end that Theorem 1 (SR) and Theorem 3 (Meta-LoRA) name for infinitely many samples. SR's is about sampling, not noise: the tasks' inputs differ in covariance, so the tasks weigh unequally."}
}

// slopeFigure draws the error of fits to the end against k d / n.
func (c *Config) slopeFigure(r *Results, noise float64) eval.Figure {
	x := chart.New(fmt.Sprintf("Fine-tuning error against kd/n, σ = %g", noise), "Each dot is one fit: a dimension, a rank, a number of samples and a run.",
		"kd/n", "|(W* - W) X|² / n")
	x.X.Log, x.Y.Log = true, true
	for i, base := range []string{BaseSR, BaseMeta, BaseExact, BaseSRWide} {
		var points []chart.Point
		for _, f := range r.Fitted {
			if f.Base == base && f.Noise == noise {
				points = append(points, chart.At(f.Size(), f.Error))
			}
		}
		x.Dots(base, i, points)
	}
	return eval.Figure{Name: fmt.Sprintf("slope-noise-%g", noise), Chart: x,
		Caption: "Error a sample after learning to the end. From A* it falls with kd/n as the theory says, and from Meta-LoRA's base until that base's own error shows; from SR's base an adapter of the same rank cannot reach the new task, however many samples it sees, and one of rank k(T+1) can."}
}
