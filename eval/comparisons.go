package eval

import (
	"math"
	"slices"

	"metalora/eval/stats"
)

// level of every verdict: a difference with an adjusted p at or above it is called not distinguishable.
const level = 0.05

// Comparison is two methods under one adaptation, paired over tasks. A number of a task is the mean over the seeds that both
// methods have there, so that a missing unit never compares unlike with unlike.
type Comparison struct {
	A, B, Adaptation string
	Planned          bool // B is the baseline: Adjusted holds for all planned ones under this adaptation together
	Seeds            int  // most seeds of any task
	Tasks            []string
	Left, Right      float64   // mean accuracy of A and of B over what was paired, parts of one
	Differences      []float64 // A - B of each task, parts of one
	stats.Paired
	Adjusted float64 // Holm's p; the plain one of a comparison that is not planned
}

// Different says whether the difference stands at the 5 % level.
func (c Comparison) Different() bool { return c.Adjusted < level }

// Comparisons pairs all methods under each adaptation, those with the baseline first. Pairs without a common cell are left out.
func (s *Study) Comparisons() []Comparison {
	cells := s.cells()
	methods := distinct(cells, methodOf)
	if i := slices.Index(methods, s.Baseline); i > 0 {
		methods = slices.Insert(slices.Delete(methods, i, i+1), 0, s.Baseline)
	}
	var all []Comparison
	for _, adaptation := range distinct(cells, adaptationOf) {
		of := where(cells, func(c cell) bool { return c.Adaptation == adaptation })
		var family []Comparison
		for i, b := range methods {
			for _, a := range methods[i+1:] {
				c, some := compare(of, a, b)
				if some {
					c.Adaptation, c.Planned = adaptation, b == s.baseline()
					family = append(family, c)
				}
			}
		}
		adjust(family)
		all = append(all, family...)
	}
	return all
}

// baseline is the method that the others are compared with.
func (s *Study) baseline() string {
	if s.Baseline != "" || len(s.Records) == 0 {
		return s.Baseline
	}
	return s.Records[0].Method
}

// compare pairs what both methods have.
func compare(cells []cell, a, b string) (Comparison, bool) {
	type place struct {
		task string
		seed int
	}
	of := map[place]Metrics{} // of b
	for _, c := range cells {
		if c.Method == b {
			of[place{c.Task, c.Seed}] = c.Last
		}
	}
	both := where(cells, func(c cell) bool {
		other, there := of[place{c.Task, c.Seed}]
		return c.Method == a && there && other.Turns == c.Last.Turns // else one of them lacks a fold
	})
	tasks := distinct(both, taskOf)
	if len(tasks) == 0 {
		return Comparison{}, false
	}
	left := taskMeans(both, tasks, accuracy)
	right := taskMeans(both, tasks, func(c cell) float64 { return of[place{c.Task, c.Seed}].Accuracy })
	paired, err := stats.Compare(left, right)
	if err != nil {
		return Comparison{}, false // accuracies are finite by Study.Check
	}
	c := Comparison{A: a, B: b, Tasks: tasks, Paired: paired, Adjusted: paired.SignFlip, Left: stats.Mean(left), Right: stats.Mean(right)}
	for i, task := range tasks {
		c.Differences = append(c.Differences, left[i]-right[i])
		c.Seeds = max(c.Seeds, len(where(both, func(x cell) bool { return x.Task == task })))
	}
	return c, true
}

// adjust corrects the planned comparisons of one adaptation for being several.
func adjust(family []Comparison) {
	var p []float64
	for _, c := range family {
		if c.Planned {
			p = append(p, c.SignFlip)
		}
	}
	adjusted := stats.Holm(p)
	for i := range family {
		if family[i].Planned {
			family[i].Adjusted, adjusted = adjusted[0], adjusted[1:]
		}
	}
}

// leading is the planned comparison of highest difference under each adaptation.
func leading(all []Comparison) []Comparison {
	var best []Comparison
	for _, adaptation := range distinct(all, func(c Comparison) string { return c.Adaptation }) {
		top, found := Comparison{Paired: stats.Paired{Difference: math.Inf(-1)}}, false
		for _, c := range all {
			if c.Adaptation == adaptation && c.Planned && c.Difference > top.Difference {
				top, found = c, true
			}
		}
		if found {
			best = append(best, top)
		}
	}
	return best
}
