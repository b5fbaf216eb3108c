package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"metalora/convai2"
	"metalora/eval"
	"metalora/pipeline/fault"
)

// Report gathers what is done of an experiment into a study. Units that are not done are listed as missing.
func Report(e *Experiment) (*eval.Study, error) {
	c := e.Config
	s := &eval.Study{Title: c.Name, Synthetic: c.Synthetic != nil, Question: question(c), Command: "metalora run " + e.Source}
	var yaml strings.Builder
	if err := c.Write(&yaml); err != nil {
		return nil, err
	}
	s.Configuration = yaml.String()
	g := gathering{study: s}
	for i := range e.Units {
		if err := g.add(e, &e.Units[i]); err != nil {
			return nil, err
		}
	}
	s.Facts = append(facts(c), g.facts()...)
	s.Notes = g.notes
	s.Footer = g.footer(e)
	return s, nil
}

// question is what the experiment asks.
func question(c *Config) string {
	if len(c.Retrain.Methods) < 2 {
		return "How well does " + strings.Join(c.Retrain.Methods, "") + " adapt to unseen personas?"
	}
	return "Which retraining adapts best to unseen personas: " + strings.Join(c.Retrain.Methods, ", ") + "?"
}

// gathering is a study in the making.
type gathering struct {
	study   *eval.Study
	notes   []string
	cut     int
	seconds float64
	done    int
	retrain *Result // any one retraining, for its sizes
}

func (g *gathering) add(e *Experiment, u *Unit) error {
	state, err := e.State(u)
	if err != nil {
		return err
	}
	if state != Done {
		g.study.Missing = append(g.study.Missing, fmt.Sprintf("%s (%s)", u.Label, state))
		return nil
	}
	r, err := readResult(u.Dir)
	if err != nil {
		return fault.Input(err)
	}
	seconds := e.Seconds(u)
	g.seconds, g.done, g.cut = g.seconds+seconds, g.done+1, g.cut+r.Cut
	for _, note := range r.Notes {
		if !slices.Contains(g.notes, note) {
			g.notes = append(g.notes, note)
		}
	}
	if u.Kind == KindRetrain {
		return g.addCurve(u, r)
	}
	g.study.Records = append(g.study.Records, eval.Record{Unit: u.ID, Method: u.Method, Adaptation: u.Family, Seed: u.Seed,
		Task: r.Task, TrainTurns: r.TrainTurns, HeldOutTurns: r.HeldOutTurns, Parameters: r.Parameters,
		Epochs: r.Epochs, Turns: r.Turns, Seconds: seconds})
	return nil
}

func (g *gathering) addCurve(u *Unit, r *Result) error {
	if r.Steps == 0 {
		return nil
	}
	g.retrain = r
	steps, losses, err := readLosses(u.Dir)
	if err != nil {
		return fault.Input(err)
	}
	g.study.Curves = append(g.study.Curves, eval.Curve{Unit: u.ID, Method: u.Method, Seed: u.Seed, Steps: steps, Loss: losses, Epochs: r.Epochs})
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
		base = fmt.Sprintf("RoBERTa from random weights: %d layers, hidden %d, %d heads", i.Layers, i.Hidden, i.Heads)
	}
	list := [][2]string{
		{"Base", base},
		{"Retraining tasks", fmt.Sprintf("ranks %s of %s, last %d dialogues of each held out", c.Tasks.Retrain.Ranks, file(c.Tasks.Retrain), c.Tasks.Retrain.HeldOut)},
		{"Test tasks", fmt.Sprintf("ranks %s of %s, %s", c.Tasks.Test.Ranks, file(c.Tasks.Test), heldOut(c))},
		{"Rules", c.Data.Rules},
		{"Retraining", stage(c.Retrain.Epochs, c.Retrain.Batch, c.Retrain.LearningRate)},
		{"Adaptation", stage(c.Adapt.Epochs, c.Adapt.Batch, c.Adapt.LearningRate)},
		{"Seeds", fmt.Sprint(c.Seeds)},
		{"Selected on held-out turns of retraining personas", "the epoch of each retraining whose weights are kept"},
		{"Selected on test personas", "nothing: the last epoch leads; the best epoch is shown beside it and flatters"},
	}
	if convai2.Rules(c.Data.Rules) == convai2.Published {
		list = append(list, [2]string{"Published rules", "follow the published code where it differs from the paper; see docs/published-code.md"})
	}
	return list
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
	return append(list, [2]string{"Pairs whose context was cut to fit", fmt.Sprint(g.cut)})
}

func (g *gathering) footer(e *Experiment) []string {
	return append([]string{fmt.Sprintf("%d of %d units done in %.0f s of work.", g.done, len(e.Units), g.seconds)}, e.Environment()...)
}
