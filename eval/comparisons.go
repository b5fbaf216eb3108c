package eval

import (
	"math"
	"slices"

	"metalora/eval/stats"
	"metalora/pipeline/rng"
)

// level of every verdict: a difference with an adjusted p at or above it is called not distinguishable.
const level = 0.05

// Comparison is two methods under one adaptation, paired over tasks, over seeds and over dialogues. Both have every task and
// seed of the study: a method that lacks a unit is in no comparison.
type Comparison struct {
	A, B, Adaptation string
	Planned          bool // B is the baseline: Adjusted holds for all planned ones under this adaptation together
	Seeds            int
	Tasks            []string
	Left, Right      float64        // mean accuracy of A and of B, parts of one
	Differences      []float64      // A - B of each task, means over seeds, parts of one
	stats.Paired                    // over tasks
	Wilcoxon         float64        // two-sided p over tasks
	OverSeeds        stats.Paired   // pairs are seeds: their means over tasks; N is 0 with one seed
	Dialogues        stats.Interval // 95 % of the difference, bootstrap of whole held-out dialogues inside each task; planned ones alone
	Adjusted         float64        // Holm's p of the sign-flip test over tasks; the plain one of a comparison that is not planned
}

// Different says whether the difference stands at the 5 % level.
func (c Comparison) Different() bool { return c.Adjusted < level }

// Comparisons pairs all methods under each adaptation, those with the baseline first.
func (s *Study) Comparisons() []Comparison {
	cells := s.cells()
	methods := distinct(cells, methodOf)
	if i := slices.Index(methods, s.baseline()); i > 0 {
		methods = slices.Insert(slices.Delete(methods, i, i+1), 0, s.baseline())
	}
	tasks, seeds := s.extent()
	var all []Comparison
	for _, adaptation := range distinct(cells, adaptationOf) {
		of := map[string][]cell{}
		for _, c := range cells {
			if c.Adaptation == adaptation {
				of[c.Method] = append(of[c.Method], c)
			}
		}
		var family []Comparison
		for i, b := range methods {
			for _, a := range methods[i+1:] {
				if len(of[a]) < len(tasks)*len(seeds) || len(of[b]) < len(tasks)*len(seeds) {
					continue
				}
				planned := b == s.baseline()
				if c, paired := compare(of[a], of[b], planned); paired {
					c.A, c.B, c.Adaptation, c.Planned = a, b, adaptation, planned
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

// compare pairs the cells of two methods, false where a place was scored on unequal numbers of turns.
func compare(as, bs []cell, resample bool) (Comparison, bool) {
	other := map[Place]cell{}
	for _, b := range bs {
		other[Place{Task: b.Task, Seed: b.Seed}] = b
	}
	mate := func(a cell) cell { return other[Place{Task: a.Task, Seed: a.Seed}] }
	for _, a := range as {
		if mate(a).Last.Turns != a.Last.Turns {
			return Comparison{}, false
		}
	}
	tasks := distinct(as, taskOf)
	theirs := func(a cell) float64 { return mate(a).Last.Accuracy }
	left, right := taskMeans(as, tasks, accuracy), taskMeans(as, tasks, theirs)
	paired, err := stats.Compare(left, right)
	if err != nil {
		return Comparison{}, false // accuracies are finite by Study.Check
	}
	c := Comparison{Tasks: tasks, Seeds: len(seedsOf(as)), Paired: paired, Adjusted: paired.SignFlip, Left: stats.Mean(left), Right: stats.Mean(right)}
	for i := range tasks {
		c.Differences = append(c.Differences, left[i]-right[i])
	}
	c.Wilcoxon, _ = stats.Wilcoxon(c.Differences)
	if c.Seeds > 1 {
		if c.OverSeeds, err = stats.Compare(seedMeans(as, tasks, accuracy), seedMeans(as, tasks, theirs)); err != nil {
			return Comparison{}, false
		}
	}
	c.Dialogues = stats.Interval{Low: math.NaN(), High: math.NaN()}
	if resample {
		c.Dialogues = stats.Bootstrap(dialogueDifferences(as, tasks, mate), 0.95, resamples, rng.New(0, "eval", "bootstrap", "difference"))
	}
	return c, true
}

// dialogueDifferences gathers for each task the held-out dialogues, with how many more of their turns one method has right.
func dialogueDifferences(as []cell, tasks []string, mate func(cell) cell) [][]stats.Cluster {
	bs := make([]cell, len(as))
	for i, a := range as {
		bs[i] = mate(a)
	}
	strata := make([][]stats.Cluster, len(tasks))
	for i, task := range tasks {
		ids, left := rightByDialogue(as, task)
		_, right := rightByDialogue(bs, task)
		for _, id := range ids {
			strata[i] = append(strata[i], stats.Cluster{Correct: left[id].Correct - right[id].Correct, Turns: left[id].Turns})
		}
	}
	return strata
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
