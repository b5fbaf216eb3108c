package linear

import (
	"fmt"
	"strings"

	"metalora/eval"
)

// Report puts a study's results into words, tables and figures.
func Report(c *Config, r *Results) (*eval.Document, error) {
	var yaml strings.Builder
	if err := c.Write(&yaml); err != nil {
		return nil, err
	}
	checks := c.Checks(r)
	d := &eval.Document{
		Title:    "The linear study",
		Question: "Where tasks are matrices a small step from a common one: which retraining leaves a base that a new task is near to, and do the paper's theorems hold as numbers?",
		Answer:   c.answer(r, checks),
		Command:  "metalora linear " + c.origins.Source(), Configuration: yaml.String(),
		Attached: []eval.Table{endTable(r)},
		Footer:   []string{"Losses are means of squares, so gradients were computed from second moments of the samples, exactly. ends.csv lists every end of every descent: loss, gradient, smallest eigenvalue of the Hessian."},
	}
	d.Sections = []eval.Section{
		{ID: "theorems", Title: "The theorems", Tables: []eval.Table{checkTable(checks)}},
		{ID: "adaptation", Title: "Learning a new task", Text: []string{c.noiseNote()}, Tables: []eval.Table{c.adaptTable(r)}},
		{ID: "recovery", Title: "Where retraining ends", Tables: []eval.Table{c.recoveryTable(r)}, Figures: []eval.Figure{c.recoveryFigure(r)}},
		{ID: "slope", Title: "How the error shrinks", Tables: []eval.Table{c.slopeTable(r)}},
		{ID: "landscape", Title: "The loss's minima", Tables: []eval.Table{c.landscapeTable(r)}},
	}
	for _, f := range figures {
		d.Sections[1].Figures = append(d.Sections[1].Figures, c.endFigure(r, f))
	}
	for _, noise := range c.Noise {
		for _, f := range figures {
			d.Sections[1].Figures = append(d.Sections[1].Figures, c.courseFigure(r, f, noise))
		}
		d.Sections[3].Figures = append(d.Sections[3].Figures, c.slopeFigure(r, noise))
	}
	return d, nil
}

// noiseNote says which reading of sigma is which.
func (c *Config) noiseNote() string {
	return "σ is the standard deviation of the noise in each coordinate. The paper's text says σ = 0.1. The published code squares it where a standard deviation is expected, so that it draws noise of standard deviation 0.01. " +
		fmt.Sprintf("This study has %s.", strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Noise), " ", " and "), "[]"))
}

// answer leads with how many claims hold and with the factor between the two methods.
func (c *Config) answer(r *Results, checks []Check) []string {
	held := where(checks, func(x Check) bool { return x.Holds })
	sentences := []string{fmt.Sprintf("%d of %d checks of the paper's claims hold.", len(held), len(checks))}
	for _, x := range checks {
		if !x.Holds {
			sentences = append(sentences, fmt.Sprintf("Not borne out: %s: %s, expected %s.", x.Claim, x.Found, x.Expected))
		}
	}
	for _, noise := range c.Noise {
		better, all, least, most := 0, 0, 0.0, 0.0
		for _, f := range figures {
			for _, p := range f.points(c) {
				sr, meta := spreadOf(r.lines(f, p, noise, NameSR), Adapted.Last), spreadOf(r.lines(f, p, noise, NameMeta), Adapted.Last)
				factor := sr.mean / meta.mean
				if all++; meta.mean < sr.mean {
					better++
				}
				if all == 1 {
					least, most = factor, factor
				}
				least, most = min(least, factor), max(most, factor)
			}
		}
		sentences = append(sentences, fmt.Sprintf("With σ = %g the new task's error is smaller after Meta-LoRA than after SR at %d of the %d settings of the figures; SR's is %.3g to %.3g times as large.",
			noise, better, all, least, most))
	}
	return sentences
}
