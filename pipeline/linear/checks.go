package linear

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"metalora/eval"
	"metalora/eval/stats"
)

// confidence of every interval here.
const confidence = 0.95

// nearly is how far a fitted slope may be from the one that a theorem names: it names a rate, not a constant.
const nearly = 0.15

// Check is one claim of the paper beside the number that was found for it.
type Check struct {
	Theorem, Claim  string
	Noise           float64 // 0 where there is none: infinitely many samples
	Found, Expected string
	Holds           bool
}

// Checks holds a study's results against the theorems.
func (c *Config) Checks(r *Results) []Check {
	checks := landscapeChecks(r)
	for _, noise := range c.Noise {
		checks = append(checks, c.recoveryChecks(r, noise)...)
		checks = append(checks, slopeChecks(r, noise)...)
	}
	slices.SortStableFunc(checks, func(a, b Check) int { return strings.Compare(a.Theorem, b.Theorem) })
	return checks
}

// recoveryChecks are Theorems 1 to 3 with finitely many samples: within a rank of A*, and nearer the more samples there are.
func (c *Config) recoveryChecks(r *Results, noise float64) []Check {
	of := func(method string, tasks func(int) bool) []Recovered {
		return where(r.Recovered, func(x Recovered) bool {
			return x.Noise == noise && x.Method == method && tasks(x.Point.Tasks)
		})
	}
	two, more := func(t int) bool { return t == 2 }, func(t int) bool { return t > 2 }
	sr := of(NameSR, func(int) bool { return true })
	exact := where(sr, func(x Recovered) bool { return x.Rank() == x.Bound() })
	mid := fitRecovered(of(NameSR, func(t int) bool { return t == c.Point.Tasks }), func(x Recovered) float64 { return x.FromMid })
	checks := []Check{
		{"1", "rank of SR's error is kT", noise, outOf(len(exact), len(sr)), "all", len(exact) == len(sr)},
		{"1", "SR's distance from A* + mean U*U*ᵀ falls like N^s", noise, slope(mid), "s = -1/2", near(mid, -0.5)},
	}
	if ends := of(NameMeta, two); len(ends) > 0 {
		line := fitRecovered(ends, Recovered.Beyond)
		checks = append(checks, Check{"2", "T = 2: Meta-LoRA's distance from rank 2k of A* falls like N^s", noise, slope(line), "s = -1/2", near(line, -0.5)})
	}
	if ends := of(NameMeta, more); len(ends) > 0 {
		line := fitRecovered(ends, Recovered.Beyond)
		checks = append(checks, Check{"3", "T > 2: Meta-LoRA's distance from A* falls like N^s", noise, slope(line), "s = -1/2", near(line, -0.5)})
	}
	return checks
}

func outOf(k, n int) string { return fmt.Sprintf("%d of %d", k, n) }

// fitRecovered fits the log of a distance to the log of N.
func fitRecovered(ends []Recovered, of func(Recovered) float64) stats.Line {
	var x, y []float64
	for _, e := range ends {
		x, y = append(x, math.Log(float64(e.Point.Samples))), append(y, math.Log(of(e)))
	}
	return stats.FitLine(x, y, confidence)
}

// near says whether a slope is the one that is claimed, within what a rate leaves open.
func near(l stats.Line, want float64) bool { return math.Abs(l.Slope-want) <= nearly }

func slope(l stats.Line) string {
	return fmt.Sprintf("%.3f (%.3f to %.3f)", l.Slope, l.Interval.Low, l.Interval.High)
}

// landscapeChecks are Theorems 2 to 4 with infinitely many samples, and appendix D.2.
func landscapeChecks(r *Results) []Check {
	two := where(r.Rests, func(x Rest) bool { return x.Case.Tasks == 2 })
	more := where(r.Rests, func(x Rest) bool { return x.Case.Tasks > 2 })
	var checks []Check
	if n := len(two); n > 0 {
		global := count(two, Global)
		within := where(two, func(x Rest) bool { return x.Kind() == Global && x.Rank <= 2*x.Case.Rank })
		checks = append(checks,
			Check{"2", "T = 2: global minima lie within rank 2k of A*", 0, outOf(len(within), global), "all", len(within) == global && global > 0},
			Check{"4", "T = 2: random starts that end in a global minimum", 0, outOf(global, n), "all", global == n})
	}
	if len(more) > 0 {
		global := where(more, func(x Rest) bool { return x.Kind() == Global })
		there := where(global, func(x Rest) bool { return x.Rank == 0 })
		checks = append(checks, Check{"3", "T > 2: global minima are at A*", 0, outOf(len(there), len(global)), "all", len(there) == len(global) && len(global) > 0})
	}
	independent := where(more, func(x Rest) bool { return x.Case.Dimension >= x.Case.Rank*x.Case.Tasks })
	if n := len(independent); n > 0 {
		k := count(independent, Spurious)
		i := stats.ShareInterval(k, n, confidence)
		checks = append(checks, Check{"D.2", "T > 2, d ≥ kT: starts that end in a spurious minimum", 0,
			fmt.Sprintf("%s, %.2f %% (%.2f to %.2f)", outOf(k, n), 100*float64(k)/float64(n), 100*i.Low, 100*i.High), "some, below 5 %", k > 0 && float64(k) < 0.05*float64(n)})
	}
	return checks
}

// slopeChecks ask how the error of a new task shrinks with its samples.
func slopeChecks(r *Results, noise float64) []Check {
	of := func(base string) []Fitted {
		return where(r.Fitted, func(x Fitted) bool { return x.Noise == noise && x.Base == base })
	}
	exact, stuck := fitSlope(of(BaseExact)), fitSamples(of(BaseSR))
	constant, share := meanRatio(of(BaseExact), Fitted.Expected)
	meta, reached := meanRatio(of(BaseMeta), Fitted.Reachable)
	return []Check{
		{"kd/n", "from A* itself the new task's error falls like (kd/n)^s", noise, slope(exact), "s = 1", near(exact, 1)},
		{"kd/n", "from A* itself: error / (σ²k(2d-k)/n)", noise, constant, "1", math.Abs(share-1) <= nearly},
		{"kd/n", "from Meta-LoRA: error / (σ²k(2d-k)/n + |A - A*|²)", noise, meta, "at most 1", reached <= 1+nearly},
		{"kd/n", "from SR with rank k it does not fall with n: n^s", noise, slope(stuck), "s = 0", near(stuck, 0)},
	}
}

// fitSamples fits the log of the error to the log of n within each size: both are taken from their means over the fits of the same d
// and k.
func fitSamples(all []Fitted) stats.Line {
	type size struct{ d, k int }
	groups := map[size][]Fitted{}
	for _, f := range all {
		at := size{f.Point.Dimension, f.Point.Rank}
		groups[at] = append(groups[at], f)
	}
	n := func(f Fitted) float64 { return math.Log(float64(f.Point.AdaptSamples)) }
	e := func(f Fitted) float64 { return math.Log(f.Error) }
	var x, y []float64
	for _, f := range all {
		same := groups[size{f.Point.Dimension, f.Point.Rank}]
		x, y = append(x, n(f)-spreadOf(same, n).mean), append(y, e(f)-spreadOf(same, e).mean)
	}
	return stats.FitLine(x, y, confidence)
}

// meanRatio is the mean of error / expected error, also with its interval in words.
func meanRatio(all []Fitted, expected func(Fitted) float64) (string, float64) {
	var ratios []float64
	for _, f := range all {
		ratios = append(ratios, f.Error/expected(f))
	}
	mean, i := stats.Mean(ratios), stats.MeanInterval(ratios, confidence)
	return fmt.Sprintf("%.3f (%.3f to %.3f)", mean, i.Low, i.High), mean
}

// fitSlope fits the log of the error to the log of k d / n.
func fitSlope(all []Fitted) stats.Line {
	var x, y []float64
	for _, f := range all {
		x, y = append(x, math.Log(f.Size())), append(y, math.Log(f.Error))
	}
	return stats.FitLine(x, y, confidence)
}

func count(all []Rest, kind Kind) int {
	return len(where(all, func(x Rest) bool { return x.Kind() == kind }))
}

func where[T any](all []T, keep func(T) bool) []T {
	var kept []T
	for _, x := range all {
		if keep(x) {
			kept = append(kept, x)
		}
	}
	return kept
}

// checkTable shows the checks.
func checkTable(checks []Check) eval.Table {
	t := eval.Table{Key: "theorems", Title: "The theorems as numbers",
		Columns: columns("theorem", "theorem", "claim", "claim", "noise", "σ", "found", "found", "expected", "expected", "holds", "holds"),
		Notes:   []string{"In brackets: 95 % interval. σ: standard deviation of the noise; none where the loss is that of infinitely many samples. A slope or ratio holds if it is within 0.15 of the claim."}}
	for _, c := range checks {
		holds, noise := "yes", "–"
		if !c.Holds {
			holds = "NO"
		}
		if c.Noise > 0 {
			noise = fmt.Sprint(c.Noise)
		}
		t.Rows = append(t.Rows, []eval.Cell{eval.Words(c.Theorem), eval.Words(c.Claim), eval.Words(noise), eval.Words(c.Found), eval.Words(c.Expected), eval.Words(holds)})
	}
	return t
}
