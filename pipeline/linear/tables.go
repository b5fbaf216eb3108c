package linear

import (
	"fmt"

	"metalora/eval"
	"metalora/eval/stats"
)

// columns heads columns by pairs of key and name.
func columns(pairs ...string) []eval.Column {
	var all []eval.Column
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, eval.Column{Key: pairs[i], Name: pairs[i+1]})
	}
	return all
}

// spread is the band over runs.
type spread struct{ low, mean, high float64 }

func spreadOf[T any](all []T, of func(T) float64) spread {
	var values []float64
	s := spread{}
	for i, x := range all {
		v := of(x)
		values = append(values, v)
		if i == 0 {
			s.low, s.high = v, v
		}
		s.low, s.high = min(s.low, v), max(s.high, v)
	}
	s.mean = stats.Mean(values)
	return s
}

func (s spread) cells() []eval.Cell {
	return []eval.Cell{eval.Digits(s.mean, 3), eval.Digits(s.low, 3), eval.Digits(s.high, 3)}
}

// lines are the runs of one line of a figure.
func (r *Results) lines(f figure, p Point, noise float64, method string) []Adapted {
	return where(r.Adapted, func(x Adapted) bool {
		return x.Figure == f.key && x.Point == p && x.Noise == noise && x.Method == method
	})
}

// adaptTable gives the error at the end of every line of the figures.
func (c *Config) adaptTable(r *Results) eval.Table {
	t := eval.Table{Key: "adaptation", Title: "Error on the new task after the last step",
		Columns: columns("varies", "varies", "value", "value", "noise", "σ", "method", "retraining", "adapter_rank", "rank", "steps", "steps",
			"base", "|A - A*|", "error", "error, mean", "low", "min", "high", "max", "per_sample", "error / N'"),
		Notes: []string{fmt.Sprintf("error: |(W* - W) X|² over the new task's N' samples, without noise; %d runs. |A - A*|: mean over runs, before the new task. The rest as in point: %s.", c.Runs, c.Point)}}
	for _, f := range figures {
		for i, p := range f.points(c) {
			for _, noise := range c.Noise {
				for _, method := range []string{NameSR, NameMeta} {
					runs := r.lines(f, p, noise, method)
					if len(runs) == 0 {
						continue
					}
					s := spreadOf(runs, Adapted.Last)
					row := []eval.Cell{eval.Words(f.name), eval.Count(f.values(c)[i]), eval.Digits(noise, 3), eval.Words(method),
						eval.Count(runs[0].Rank), eval.Count(f.steps(c)), eval.Digits(spreadOf(runs, func(x Adapted) float64 { return x.Base }).mean, 3)}
					t.Rows = append(t.Rows, append(append(row, s.cells()...), eval.Digits(s.mean/float64(p.AdaptSamples), 3)))
				}
			}
		}
	}
	return t
}

// String writes a point as in formulas.
func (p Point) String() string {
	return fmt.Sprintf("d = %d, T = %d, N = %d, N' = %d, k = %d", p.Dimension, p.Tasks, p.Samples, p.AdaptSamples, p.Rank)
}

// recoveryTable says where retraining ends.
func (c *Config) recoveryTable(r *Results) eval.Table {
	t := eval.Table{Key: "recovery", Title: "Where retraining ends",
		Columns: columns("noise", "σ", "tasks", "T", "samples", "N", "method", "retraining", "from_truth", "|A - A*|", "from_middle", "|A - A* - mean U*U*ᵀ|",
			"bound", "rank bound", "rank_low", "rank, min", "rank_high", "rank, max", "beyond", "beyond the bound"),
		Notes: []string{"Means over runs. rank: singular values of A - A* above 4σ√(d/NT). beyond the bound: distance from the nearest matrix that differs from A* by the bound's rank."}}
	for _, noise := range c.Noise {
		for _, tasks := range c.Vary.Tasks {
			for _, n := range c.Recovery.Samples {
				for _, method := range []string{NameSR, NameMeta} {
					ends := where(r.Recovered, func(x Recovered) bool {
						return x.Noise == noise && x.Point.Tasks == tasks && x.Point.Samples == n && x.Method == method
					})
					if len(ends) == 0 {
						continue
					}
					mean := func(of func(Recovered) float64) eval.Cell { return eval.Digits(spreadOf(ends, of).mean, 3) }
					rank := spreadOf(ends, func(x Recovered) float64 { return float64(x.Rank()) })
					t.Rows = append(t.Rows, []eval.Cell{eval.Digits(noise, 3), eval.Count(tasks), eval.Count(n), eval.Words(method),
						mean(func(x Recovered) float64 { return x.FromTruth }), mean(func(x Recovered) float64 { return x.FromMid }),
						eval.Count(ends[0].Bound()), eval.Count(int(rank.low)), eval.Count(int(rank.high)), mean(Recovered.Beyond)})
				}
			}
		}
	}
	return t
}

// landscapeTable counts where descents come to rest.
func (c *Config) landscapeTable(r *Results) eval.Table {
	t := eval.Table{Key: "landscape", Title: "Where descents from random starts come to rest",
		Columns: columns("dimension", "d", "tasks", "T", "rank", "k", "starts", "starts", "global", "global", "spurious", "spurious", "saddles", "saddles", "moving", "not at rest",
			"low", "% spurious, low", "high", "high", "truths", "truths with one", "gradient", "|gradient|, max", "eigenvalue", "eigenvalue, min", "loss", "spurious loss, max"),
		Notes: []string{fmt.Sprintf("Loss of infinitely many samples; U from N(0, %g²), %d draws of U*. eigenvalue: the Hessian's smallest at any end that is a global minimum; "+
			"zeros belong to directions along which the minima form a surface. low, high: 95 %% interval of the share.", c.Landscape.Start, c.Landscape.Truths)}}
	for _, x := range c.Landscape.Cases {
		ends := where(r.Rests, func(y Rest) bool { return y.Case == x })
		if len(ends) == 0 {
			continue
		}
		spurious := where(ends, func(y Rest) bool { return y.Kind() == Spurious })
		truths := map[int]bool{}
		for _, y := range spurious {
			truths[y.Truth] = true
		}
		share := stats.ShareInterval(len(spurious), len(ends), confidence)
		global := where(ends, func(y Rest) bool { return y.Kind() == Global })
		still := where(ends, func(y Rest) bool { return y.Still })
		t.Rows = append(t.Rows, []eval.Cell{eval.Count(x.Dimension), eval.Count(x.Tasks), eval.Count(x.Rank), eval.Count(len(ends)),
			eval.Count(len(global)), eval.Count(len(spurious)), eval.Count(count(ends, Saddle)), eval.Count(count(ends, Moving)),
			eval.Number(100*share.Low, 2), eval.Number(100*share.High, 2), eval.Count(len(truths)),
			eval.Digits(spreadOf(still, func(y Rest) float64 { return y.Gradient }).high, 2),
			eval.Digits(spreadOf(global, func(y Rest) float64 { return y.Smallest }).low, 2),
			eval.Digits(spreadOf(spurious, func(y Rest) float64 { return y.Loss }).high, 2)})
	}
	return t
}

// endTable lists every end of every descent.
func endTable(r *Results) eval.Table {
	t := eval.Table{Key: "ends", Columns: columns("dimension", "d", "tasks", "T", "rank", "k", "truth", "truth", "start", "start", "kind", "kind", "loss", "loss",
		"gradient", "|gradient|", "eigenvalue", "smallest eigenvalue", "rank_found", "rank of A - A*", "from_truth", "|A - A*|", "steps", "steps")}
	for _, x := range r.Rests {
		t.Rows = append(t.Rows, []eval.Cell{eval.Count(x.Case.Dimension), eval.Count(x.Case.Tasks), eval.Count(x.Case.Rank), eval.Count(x.Truth), eval.Count(x.Start),
			eval.Words(string(x.Kind())), eval.Digits(x.Loss, 3), eval.Digits(x.Gradient, 3), eval.Digits(x.Smallest, 3), eval.Count(x.Rank), eval.Digits(x.FromTruth, 3), eval.Count(x.Steps)})
	}
	return t
}

// slopeTable gives the fits.
func (c *Config) slopeTable(r *Results) eval.Table {
	t := eval.Table{Key: "slope", Title: "The fine-tuning error against kd/n",
		Columns: columns("noise", "σ", "base", "learned from", "fits", "fits", "slope", "log-log slope", "low", "low", "high", "high",
			"ratio", "error / (σ²r(2d-r)/n)", "ratio_low", "min", "ratio_high", "max"),
		Notes: []string{"error: |(W* - W) X|² / n after the last step. r: the adapter's rank; a least-squares fit with r(2d-r) free directions leaves an error of σ²r(2d-r)/n. low, high: 95 % interval of the slope."}}
	for _, noise := range c.Noise {
		for _, base := range []string{BaseExact, BaseMeta, BaseSR, BaseSRWide} {
			all := where(r.Fitted, func(x Fitted) bool { return x.Noise == noise && x.Base == base })
			if len(all) == 0 {
				continue
			}
			line := fitSlope(all)
			ratios := spreadOf(all, func(x Fitted) float64 { return x.Error / x.Expected() })
			row := []eval.Cell{eval.Digits(noise, 3), eval.Words(base), eval.Count(len(all)),
				eval.Number(line.Slope, 3), eval.Number(line.Interval.Low, 3), eval.Number(line.Interval.High, 3)}
			t.Rows = append(t.Rows, append(row, ratios.cells()...))
		}
	}
	return t
}
