package pipeline

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"metalora/convai2"
	"metalora/eval"
	"metalora/pipeline/fault"
)

// Report gathers what is done of an experiment into a study. Units that are not done are listed as missing.
func Report(e *Experiment) (*eval.Study, error) {
	c := e.Config
	s := &eval.Study{Title: c.Name, Synthetic: c.Synthetic != nil, Question: question(c), Command: "metalora run " + e.Source,
		Baseline: c.baseline(), Meta: c.meta()}
	var yaml strings.Builder
	if err := c.Write(&yaml); err != nil {
		return nil, err
	}
	s.Configuration = yaml.String()
	g := gathering{study: s, noted: map[string]bool{}}
	for i := range e.Units {
		if err := g.add(e, &e.Units[i]); err != nil {
			return nil, err
		}
	}
	s.Facts = append(facts(c), g.facts()...)
	if s.Examples = s.Disagreements(examplesEach); len(s.Examples) > 0 {
		if err := quote(c, s.Examples); err != nil {
			g.notes = append(g.notes, fmt.Sprintf("The examples have no text, as the dialogues cannot be read: %v", err))
		}
	}
	s.Notes = g.notes
	s.Footer = g.footer(e)
	return s, nil
}

// examplesEach is how many turns are shown of each direction of each leading comparison.
const examplesEach = 3

// baseline is the method that others are compared with: the configured one, or else sr, or else the first.
func (c *Config) baseline() string {
	switch {
	case c.Report.Baseline != "":
		return c.Report.Baseline
	case slices.Contains(c.Retrain.Methods, "sr"):
		return "sr"
	}
	return c.Retrain.Methods[0]
}

// meta lists the methods that have the adaptation inside their retraining, Reptile with them: all but SR, its controls and none.
func (c *Config) meta() []string {
	var names []string
	for _, name := range c.Retrain.Methods {
		v, _ := ParseMethod(name) // Parse has read it
		if trainsFor[v.Kind] != "" || v.Kind == "reptile" {
			names = append(names, name)
		}
	}
	return names
}

// question is what the experiment asks.
func question(c *Config) string {
	if len(c.meta()) > 0 && !slices.Contains(c.meta(), c.baseline()) {
		return "Does meta-retraining adapt better to unseen personas than " + c.baseline() + ", and is it sure?"
	}
	if len(c.Retrain.Methods) < 2 {
		return "How well does " + strings.Join(c.Retrain.Methods, "") + " adapt to unseen personas?"
	}
	return "Which retraining adapts best to unseen personas: " + strings.Join(c.Retrain.Methods, ", ") + "?"
}

// gathering is a study in the making.
type gathering struct {
	study   *eval.Study
	notes   []string
	noted   map[string]bool
	cut     int
	skipped int
	seconds float64
	done    int
	retrain *Result  // any one retraining, for its sizes
	chosen  []string // learning rates, where there was a choice
}

func (g *gathering) add(e *Experiment, u *Unit) error {
	state, err := e.State(u)
	if err != nil {
		return err
	}
	if state != Done {
		g.study.Missing = append(g.study.Missing, fmt.Sprintf("%s (%s)", u.Label, state))
		if u.Kind == KindAdapt {
			g.study.Open = append(g.study.Open, eval.Place{Method: u.Method, Adaptation: u.Family, Task: u.Name(), Seed: u.Seed, Limit: max(0, u.Turns)})
		}
		return nil
	}
	r, err := u.result()
	if err != nil {
		return err
	}
	cost := e.Provenance(u)
	g.seconds, g.done, g.cut = g.seconds+cost.Seconds, g.done+1, g.cut+r.Cut
	g.skipped += r.Skipped
	for _, note := range r.Notes {
		if !g.noted[note] {
			g.noted[note] = true
			g.notes = append(g.notes, note)
		}
	}
	if u.Kind == KindRetrain {
		return g.addCurve(u, r, cost)
	}
	g.study.Records = append(g.study.Records, eval.Record{Unit: u.ID, Method: u.Method, Adaptation: u.Family, Seed: u.Seed,
		Task: r.Task, TrainTurns: r.TrainTurns, HeldOutTurns: r.HeldOutTurns, Parameters: r.Parameters,
		Epochs: r.Epochs, Turns: r.Turns, Seconds: cost.Seconds, PeakBytes: cost.PeakBytes, Limit: r.Limit, Fold: r.Fold})
	if len(e.Config.rateFactors(u.Method)) > 1 {
		g.choose(u, r.RateFactor)
	}
	return nil
}

// result reads a finished unit's results.
func (u *Unit) result() (*Result, error) {
	r, err := readResult(u.Dir)
	if err != nil {
		return nil, fault.Input(err)
	}
	if err := r.of(u); err != nil {
		return nil, fault.Input(fmt.Errorf("reading results %s: %w", filepath.Join(u.Dir, ResultsFile), err))
	}
	return r, nil
}

// choose notes which learning rate the adaptations of a method and seed started from.
func (g *gathering) choose(u *Unit, factor float64) {
	choice := fmt.Sprintf("%s seed %d: x%g", u.Method, u.Seed, factor)
	if !slices.Contains(g.chosen, choice) {
		g.chosen = append(g.chosen, choice)
	}
}

func (g *gathering) addCurve(u *Unit, r *Result, cost Provenance) error {
	if r.Steps == 0 {
		return nil
	}
	g.retrain = r
	steps, losses, err := readLosses(u.Dir, r)
	if err != nil {
		return fault.Input(err)
	}
	g.study.Curves = append(g.study.Curves, eval.Curve{Unit: u.ID, Method: u.Method, Seed: u.Seed, Steps: steps, Loss: losses, Epochs: r.Epochs,
		Parameters: r.Parameters, Kept: r.Kept, RateFactor: r.RateFactor, Seconds: cost.Seconds, PeakBytes: cost.PeakBytes})
	return nil
}

// facts are what the configuration says of the data and of what was chosen on what.
func facts(c *Config) [][2]string {
	file := func(set TaskSet) string {
		if c.Synthetic != nil {
			return "synthetic " + set.File + " dialogues"
		}
		path, _ := c.File(set.File)
		return path
	}
	base := c.Model.Path
	if i := c.Model.Init; i != nil {
		base = fmt.Sprintf("%s from random weights: %d layers, hidden %d, %d heads", i.shape().Class(false), i.Layers, i.Hidden, i.Heads)
	}
	list := [][2]string{
		{"Base", base},
		{"Retraining tasks", fmt.Sprintf("ranks %s of %s, last %d dialogues of each held out", c.Tasks.Retrain.Ranks, file(c.Tasks.Retrain), c.Tasks.Retrain.HeldOut)},
		{"Test tasks", fmt.Sprintf("ranks %s of %s, %s", c.Tasks.Test.Ranks, file(c.Tasks.Test), heldOut(c))},
		{"Rules", c.Data.Rules},
		{"Retraining", stage(c.Retrain.Epochs, c.Retrain.Batch, c.Retrain.LearningRate)},
		{"Adaptation", stage(c.Adapt.Epochs, c.Adapt.Batch, c.Adapt.LearningRate)},
		{"Seeds", fmt.Sprint(c.Seeds)},
		{"Selected on held-out turns of retraining personas", "the epoch of each retraining whose weights are kept" + searched(c)},
		{"Selected on test personas", "nothing: the last epoch leads; the best epoch is shown beside it and flatters"},
	}
	if convai2.Rules(c.Data.Rules) == convai2.Published {
		list = append(list, [2]string{"Published rules", "follow the published code where it differs from the paper; see docs/published-code.md"})
	}
	return list
}

// searched says that learning rates were chosen too, where they were.
func searched(c *Config) string {
	if len(c.Retrain.RateFactors) < 2 {
		return ""
	}
	return fmt.Sprintf("; the learning rate of each method and seed, among %v times the configured ones", c.Retrain.RateFactors)
}

func heldOut(c *Config) string {
	if c.Data.Folds > 1 {
		return fmt.Sprintf("each dialogue held out in one of %d folds", c.Data.Folds)
	}
	return fmt.Sprintf("last %d dialogues of each held out", c.Tasks.Test.HeldOut)
}

func stage(epochs, batch int, rate float64) string {
	return fmt.Sprintf("%d epochs, batches of %d turns, peak learning rate %g", epochs, batch, rate)
}

// facts are the sizes that came out.
func (g *gathering) facts() [][2]string {
	var list [][2]string
	if r := g.retrain; r != nil {
		list = append(list, [2]string{"Retraining turns", fmt.Sprintf("%d trained on, %d held out", r.TrainTurns, r.HeldOutTurns)})
	}
	if len(g.chosen) > 0 {
		list = append(list, [2]string{"Learning rates chosen", strings.Join(g.chosen, ", ")})
	}
	if g.skipped > 0 {
		list = append(list, [2]string{"Turns left out because their numbers broke", fmt.Sprint(g.skipped)})
	}
	return append(list, [2]string{"Pairs whose context was cut to fit", fmt.Sprint(g.cut)})
}

func (g *gathering) footer(e *Experiment) []string {
	return append([]string{fmt.Sprintf("%d of %d units done in %.0f s of work.", g.done, len(e.Units), g.seconds)}, e.Environment()...)
}
