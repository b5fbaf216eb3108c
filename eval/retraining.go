package eval

import (
	"slices"

	"metalora/eval/chart"
	"metalora/eval/stats"
)

// lossPoints is how many points a loss curve is drawn with: more would be noise at this width.
const lossPoints = 60

func (s *Study) lossFigure(series map[string]int) Figure {
	c := chart.New("Loss of retraining", "Mean over seeds of the mean loss of neighbouring steps; band: lowest to highest seed.", "step", "loss (nats a pair)")
	c.X.Whole = true
	for _, method := range s.retrained() {
		of := where(s.Curves, func(x Curve) bool { return x.Method == method })
		c.Line(method, series[method], lossCurve(of))
	}
	return Figure{Name: "retraining-loss", Chart: c, Caption: "Training loss of the retraining runs. Methods differ in how many steps they take and in what a step trains."}
}

func (s *Study) retrainingFigure(series map[string]int) Figure {
	c := chart.New("Accuracy while retraining", "Held-out turns of the retraining tasks. Mean over seeds; band: lowest to highest seed.", "epoch", "accuracy on held-out turns (%)")
	c.Y.Min, c.X.Whole = 0, true
	var guess []float64
	for _, method := range s.retrained() {
		var curves [][]chart.Point
		for _, curve := range s.Curves {
			if curve.Method != method || len(curve.Epochs) == 0 {
				continue
			}
			var points []chart.Point
			for _, e := range curve.Epochs {
				points = append(points, chart.At(float64(e.Epoch), 100*e.HeldOut.Accuracy))
				guess = append(guess, 100*e.HeldOut.Chance)
			}
			curves = append(curves, points)
		}
		if len(curves) > 0 {
			c.Line(method, series[method], across(curves))
		}
	}
	if len(guess) > 0 {
		c.Level("guessing", stats.Mean(guess), false)
	}
	return Figure{Name: "retraining-accuracy", Chart: c, Caption: "Accuracy on held-out turns of the retraining tasks, after each epoch of retraining."}
}

// retrained lists the methods that have curves.
func (s *Study) retrained() []string {
	return distinct(s.Curves, func(c Curve) string { return c.Method })
}

// lossCurve averages the losses of each seed in up to lossPoints equal stretches of steps, then over seeds.
func lossCurve(curves []Curve) []chart.Point {
	last := 0
	for _, c := range curves {
		for _, step := range c.Steps {
			last = max(last, step)
		}
	}
	width := max(1, (last+lossPoints)/lossPoints)
	var binned [][]chart.Point
	for _, c := range curves {
		losses := map[int][]float64{}
		for i, step := range c.Steps {
			losses[step/width] = append(losses[step/width], c.Loss[i])
		}
		var points []chart.Point
		for _, bin := range sortedKeys(losses) {
			points = append(points, chart.At((float64(bin)+0.5)*float64(width), stats.Mean(losses[bin])))
		}
		binned = append(binned, points)
	}
	return across(binned)
}

// across takes the mean of curves at each x that any of them has, with the lowest and highest as band where several do.
func across(curves [][]chart.Point) []chart.Point {
	values := map[float64][]float64{}
	for _, points := range curves {
		for _, p := range points {
			values[p.X] = append(values[p.X], p.Y)
		}
	}
	var mean []chart.Point
	for _, x := range sortedKeys(values) {
		p := chart.At(x, stats.Mean(values[x]))
		if len(values[x]) > 1 {
			p.Low, p.High = slices.Min(values[x]), slices.Max(values[x])
		}
		mean = append(mean, p)
	}
	return mean
}

func sortedKeys[K int | float64, V any](m map[K]V) []K {
	var keys []K
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
