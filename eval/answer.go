package eval

import (
	"fmt"
	"math"
	"strings"

	"metalora/eval/stats"
)

// Answer is the study's question answered from its numbers, one sentence an adaptation: the best of the methods against the
// baseline, by how much, how sure. It never says better or worse where the adjusted p does not bear it out.
func (s *Study) Answer() []string {
	if len(s.Records) == 0 {
		return []string{"There is no answer yet: no unit of adaptation is done."}
	}
	comparisons := s.Comparisons()
	var sentences []string
	for _, c := range leading(comparisons) {
		others := where(comparisons, func(o Comparison) bool { return o.Planned && o.Adaptation == c.Adaptation })
		sentences = append(sentences, c.sentence(len(others)))
	}
	if len(sentences) == 0 {
		for _, r := range s.Results() {
			sentences = append(sentences, r.sentence())
		}
	}
	if n := len(s.Missing); n > 0 {
		first := strings.Replace(sentences[0], "With ", "with ", 1)
		sentences[0] = fmt.Sprintf("Preliminary, as %s not done: %s", isOrAre(n, "unit"), first)
	}
	return sentences
}

// sentence is the verdict of a comparison that was the best of several.
func (c Comparison) sentence(of int) string {
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
	evidence := []string{fmt.Sprintf("%s %% against %s %%", Percent(c.Left).Text, Percent(c.Right).Text)}
	if !math.IsNaN(c.Interval.Low) {
		evidence = append(evidence, fmt.Sprintf("95 %% CI %s to %s", Points(c.Interval.Low).Text, Points(c.Interval.High).Text))
	}
	evidence = append(evidence, "p "+equals(c.Adjusted))
	if of > 1 {
		evidence[len(evidence)-1] += fmt.Sprintf(" adjusted for %d comparisons", of)
	}
	return fmt.Sprintf("With %s, %s %s: %s; %s, %s.", c.Adaptation, name, verdict, strings.Join(evidence, ", "),
		counted(len(c.Tasks), "task"), counted(c.Seeds, "seed"))
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
func (r Result) sentence() string {
	interval := ""
	if !math.IsNaN(r.Interval.Low) {
		interval = fmt.Sprintf("; 95 %% CI %s to %s", Percent(r.Interval.Low).Text, Percent(r.Interval.High).Text)
	}
	return fmt.Sprintf("%s with %s chose the real reply in %s %% of held-out turns (guessing: %s %%%s; %s, %s); there is no second method to compare it with.",
		r.Method, r.Adaptation, Percent(r.Accuracy).Text, Percent(r.Chance).Text, interval,
		counted(len(r.Tasks), "task"), counted(len(r.Seeds), "seed"))
}

// Cautions are what the numbers themselves warn of.
func (s *Study) Cautions() []string {
	var cautions []string
	results := s.Results()
	for _, r := range results {
		name := r.Method + " with " + r.Adaptation
		if !r.Complete() {
			cautions = append(cautions, fmt.Sprintf("%s has %d of %d pairs of task and seed; its means are over those, comparisons over common ones.", name, r.Cells, r.Expected))
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
	if smallest := stats.SmallestP(tasks); tasks > 0 && smallest >= level {
		cautions = append(cautions, fmt.Sprintf("With %s the paired test cannot give a p below %s: no difference, however large, passes it at 5 %%.",
			counted(tasks, "task"), Number(smallest, 3).Text))
	}
	return cautions
}
