package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"metalora/eval/stats"
)

// Answer is the study's question answered from its numbers: how many comparisons of meta-retraining came out which way, then
// one sentence an adaptation: the best of the methods against the baseline, by how much, how sure. It never says better
// or worse where the adjusted p does not bear it out, and says nothing of methods that lack a unit.
func (s *Study) Answer() []string {
	if len(s.Records) == 0 {
		return []string{"There is no answer yet: no unit of adaptation is done."}
	}
	comparisons := s.Comparisons()
	asked := s.asked(comparisons)
	sentences := s.tally(asked)
	for _, c := range leading(asked) {
		rivals := where(asked, func(o Comparison) bool { return o.Adaptation == c.Adaptation })
		corrected := where(comparisons, func(o Comparison) bool { return o.Planned && o.Adaptation == c.Adaptation })
		sentences = append(sentences, c.sentence(len(rivals), len(corrected)))
	}
	if len(sentences) == 0 {
		for _, r := range where(s.Results(), Result.Complete) {
			sentences = append(sentences, r.sentence(len(s.Missing) > 0))
		}
	}
	if len(sentences) == 0 {
		return []string{fmt.Sprintf("There is no answer yet: %s not done, and no method has every task and seed under any adaptation.", isOrAre(len(s.Missing), "unit"))}
	}
	if n := len(s.Missing); n > 0 {
		first := strings.Replace(sentences[0], "With ", "with ", 1)
		sentences[0] = fmt.Sprintf("Preliminary, as %s not done: %s", isOrAre(n, "unit"), first)
	}
	return sentences
}

// asked are the comparisons that the question is about: planned ones, of meta-retraining where the study names it.
func (s *Study) asked(all []Comparison) []Comparison {
	planned := where(all, func(c Comparison) bool { return c.Planned })
	meta := where(planned, func(c Comparison) bool { return slices.Contains(s.Meta, c.A) })
	if len(meta) > 0 {
		return meta
	}
	return planned
}

// tally counts how several comparisons of meta-retraining came out.
func (s *Study) tally(asked []Comparison) []string {
	if len(asked) < 2 || len(s.Meta) == 0 {
		return nil
	}
	better, worse := 0, 0
	for _, c := range asked {
		switch {
		case c.Different() && c.Difference > 0:
			better++
		case c.Different() && c.Difference < 0:
			worse++
		}
	}
	verdict := "No: in none of"
	if better > 0 {
		verdict = fmt.Sprintf("In part: in %d of", better)
	}
	if better == len(asked) {
		verdict = "Yes: in all of"
	}
	return []string{fmt.Sprintf("%s %s of meta-retraining with %s it was surely better, in %d surely worse, in %d not distinguishable.",
		verdict, counted(len(asked), "comparison"), s.baseline(), worse, len(asked)-better-worse)}
}

// sentence is the verdict of a comparison that was the best of several; corrected counts those that its p is adjusted for.
func (c Comparison) sentence(of, corrected int) string {
	name := c.A
	if of > 1 {
		name = fmt.Sprintf("%s, the best of %d methods compared with %s,", c.A, of, c.B)
	}
	size := fmt.Sprintf("%.1f", 100*math.Abs(c.Difference))
	verdict := fmt.Sprintf("was not distinguishable from %s (%s points)", c.B, Points(c.Difference).Text)
	switch {
	case c.Different() && c.Difference > 0:
		verdict = fmt.Sprintf("was better than %s by %s points", c.B, size)
	case c.Different() && c.Difference < 0:
		verdict = fmt.Sprintf("was worse than %s by %s points", c.B, size)
	}
	return fmt.Sprintf("With %s, %s %s: %s; %s, %s.", c.Adaptation, name, verdict, strings.Join(c.evidence(corrected), ", "),
		counted(len(c.Tasks), "task"), counted(c.Seeds, "seed"))
}

// evidence is what a verdict rests on.
func (c Comparison) evidence(corrected int) []string {
	list := []string{fmt.Sprintf("%s %% against %s %%", Percent(c.Left).Text, Percent(c.Right).Text)}
	if !math.IsNaN(c.Interval.Low) {
		list = append(list, fmt.Sprintf("95 %% CI %s to %s", Points(c.Interval.Low).Text, Points(c.Interval.High).Text))
	}
	if !math.IsNaN(c.Dialogues.Low) {
		list = append(list, fmt.Sprintf("over dialogues %s to %s", Points(c.Dialogues.Low).Text, Points(c.Dialogues.High).Text))
	}
	p := "p " + equals(c.Adjusted)
	if corrected > 1 {
		p += fmt.Sprintf(" adjusted for %d comparisons", corrected)
	}
	list = append(list, p, "Wilcoxon p "+equals(c.Wilcoxon))
	if !math.IsNaN(c.Effect) && !math.IsInf(c.Effect, 0) {
		list = append(list, fmt.Sprintf("effect size d %.2f", c.Effect))
	}
	if c.OverSeeds.N > 1 {
		list = append(list, "paired over seeds p "+equals(c.OverSeeds.SignFlip))
	}
	return list
}

// equals writes a p-value behind the letter p.
func equals(p float64) string {
	text := PValue(p).Text
	if less, found := strings.CutPrefix(text, "<"); found {
		return "< " + less
	}
	return "= " + text
}

// sentence says what a result is where there is nothing to compare it with.
func (r Result) sentence(unfinished bool) string {
	other := "there is no second method to compare it with"
	if unfinished {
		other = "no second method has every task and seed yet"
	}
	interval := ""
	if !math.IsNaN(r.Interval.Low) {
		interval = fmt.Sprintf("; 95 %% CI %s to %s", Percent(r.Interval.Low).Text, Percent(r.Interval.High).Text)
	}
	return fmt.Sprintf("%s with %s chose the real reply in %s %% of held-out turns (guessing: %s %%%s; %s, %s); %s.",
		r.Method, r.Adaptation, Percent(r.Accuracy).Text, Percent(r.Chance).Text, interval,
		counted(len(r.Tasks), "task"), counted(len(r.Seeds), "seed"), other)
}

// Cautions are what the numbers themselves warn of.
func (s *Study) Cautions() []string {
	var cautions []string
	results := s.Results()
	for _, r := range results {
		name := r.Method + " with " + r.Adaptation
		if !r.Complete() {
			cautions = append(cautions, fmt.Sprintf("%s has %d of %d pairs of task and seed: no mean of it is shown, and no comparison.", name, r.Cells, r.Expected))
		}
		if r.AboveChance >= level {
			cautions = append(cautions, fmt.Sprintf("%s is not distinguishable from guessing (p %s).", name, equals(r.AboveChance)))
		}
	}
	for _, adaptation := range distinct(results, func(r Result) string { return r.Adaptation }) {
		of := where(results, func(r Result) bool { return r.Adaptation == adaptation })
		cautions = append(cautions, unequal(adaptation, of)...)
	}
	return append(cautions, s.fewness(results)...)
}

// unequal says in what the methods under one adaptation differ besides the method.
func unequal(adaptation string, results []Result) []string {
	var cautions []string
	if len(distinct(results, func(r Result) [2]int { return r.Epochs })) > 1 {
		cautions = append(cautions, "Under "+adaptation+" the methods were trained for different numbers of epochs.")
	}
	if len(distinct(results, func(r Result) [2]int { return r.Parameters })) > 1 {
		cautions = append(cautions, "Under "+adaptation+" the methods trained different numbers of parameters.")
	}
	return cautions
}

// fewness says what few seeds and tasks make impossible.
func (s *Study) fewness(results []Result) []string {
	tasks, seeds := 0, 0
	for _, r := range results {
		tasks, seeds = max(tasks, len(r.Tasks)), max(seeds, len(r.Seeds))
	}
	var cautions []string
	if seeds == 1 {
		cautions = append(cautions, "One seed: how much the numbers vary from run to run is not known.")
	}
	if smallest := stats.SmallestP(seeds); seeds > 1 && smallest >= level {
		cautions = append(cautions, fmt.Sprintf("With %s the test paired over seeds cannot give a p below %s.", counted(seeds, "seed"), Number(smallest, 3).Text))
	}
	if smallest := stats.SmallestP(tasks); tasks > 0 && smallest >= level {
		cautions = append(cautions, fmt.Sprintf("With %s the paired test cannot give a p below %s: no difference, however large, passes it at 5 %%.",
			counted(tasks, "task"), Number(smallest, 3).Text))
	}
	return cautions
}
