package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"metalora/pipeline/train"
)

// Plan lists the units of an experiment in the order in which they run: every retraining, then every adaptation, those of
// one retrained base together. The order, and so each unit's index, depends on the configuration alone.
func Plan(c *Config, in *Inputs) ([]Unit, error) {
	var units []Unit
	bases := map[base][]string{}
	for _, seed := range c.Seeds {
		for _, method := range c.Retrain.Methods {
			for _, factor := range c.rateFactors(method) {
				u := retrainUnit(c, in, base{method, seed}, factor)
				if err := u.identify(); err != nil {
					return nil, err
				}
				bases[base{method, seed}] = append(bases[base{method, seed}], u.ID)
				units = append(units, u)
			}
		}
	}
	for _, seed := range c.Seeds {
		for _, method := range c.Retrain.Methods {
			for _, u := range adaptUnits(c, in, base{method, seed}) {
				u.Needs = bases[base{method, seed}]
				if err := u.identify(); err != nil {
					return nil, err
				}
				units = append(units, u)
			}
		}
	}
	for i := range units {
		units[i].Index = i
	}
	return units, nil
}

// base is what adaptations start from: a method's result under a seed.
type base struct {
	method string
	seed   int
}

// rateFactors are the learning rates that a method is tried with, as factors of the configured ones.
func (c *Config) rateFactors(method string) []float64 {
	if method == "none" {
		return []float64{1}
	}
	return c.Retrain.RateFactors
}

func retrainUnit(c *Config, in *Inputs, b base, factor float64) Unit {
	s := map[string]any{"method": b.method, "seed": b.seed, "data.tokenizer": in.Tokenizer, "model.dropout": c.Model.Dropout}
	c.baseSettings(s, in)
	if b.method != "none" {
		c.dataSettings(s, in, "retrain", c.Tasks.Retrain, c.Data.Turns.Retrain)
		s["tasks.retrain.ranks"] = c.Tasks.Retrain.Ranks.String()
		c.unseenSettings(s, in)
		c.retrainSettings(s, b.method)
	}
	label := fmt.Sprintf("retrain %s seed %d", b.method, b.seed)
	if factor != 1 {
		s["rate_factor"] = factor
		label += fmt.Sprintf(" rate x%g", factor)
	}
	return Unit{Kind: KindRetrain, Method: b.method, Seed: b.seed, RateFactor: factor, Settings: s, Label: label}
}

// adaptUnits are all adaptations of one base. Without any training turn every family is the same, no adaptation, and
// there is one unit for it.
func adaptUnits(c *Config, in *Inputs, b base) []Unit {
	families := slices.Clone(c.Adapt.Families)
	if slices.Contains(c.Adapt.Turns, 0) && !slices.Contains(families, "none") {
		families = append(families, "none")
	}
	var units []Unit
	for _, family := range families {
		counts := slices.DeleteFunc(slices.Clone(c.Adapt.Turns), func(n int) bool { return n == 0 })
		if family == "none" {
			counts = []int{AllTurns}
		}
		for _, rank := range c.Tasks.Test.Ranks {
			for fold := range c.Data.Folds {
				for _, turns := range counts {
					units = append(units, adaptUnit(c, in, Unit{Kind: KindAdapt, Method: b.method, Seed: b.seed, Family: family, Task: rank, Fold: fold, Turns: turns}))
				}
			}
		}
	}
	return units
}

// adaptUnit completes a unit by its settings and its label.
func adaptUnit(c *Config, in *Inputs, u Unit) Unit {
	s := map[string]any{"method": u.Method, "seed": u.Seed, "family": u.Family, "task": u.Task, "fold": u.Fold,
		"data.folds": c.Data.Folds, "model.dropout": c.Model.Dropout}
	c.dataSettings(s, in, "test", c.Tasks.Test, c.Data.Turns.Test)
	if u.Family != "none" {
		c.adaptSettings(s, u.Family)
	}
	u.Settings = s
	u.Label = fmt.Sprintf("adapt %s → %s task %d seed %d", u.Method, u.Family, u.Task, u.Seed)
	if u.Turns != AllTurns {
		s["turns"] = u.Turns
		u.Label += fmt.Sprintf(" turns %d", u.Turns)
	}
	if c.Data.Folds > 1 {
		u.Label += fmt.Sprintf(" fold %d", u.Fold)
	}
	return u
}

// baseSettings say which weights a retraining starts from.
func (c *Config) baseSettings(s map[string]any, in *Inputs) {
	i := c.Model.Init
	if i == nil {
		s["model.path"] = in.Model
		return
	}
	maps.Copy(s, map[string]any{
		"model.init.hidden": i.Hidden, "model.init.layers": i.Layers, "model.init.heads": i.Heads,
		"model.init.intermediate": i.Intermediate, "model.init.positions": i.Positions, "model.init.vocabulary": i.Vocabulary})
	if i.Family != defaultFamily {
		s["model.init.family"] = i.Family
	}
	if c.Synthetic != nil && c.Model.Tokenizer == "" {
		s["synthetic.vocabulary"] = c.Synthetic.Vocabulary
	}
}

// dataSettings say which turns a unit trains on and is scored on.
func (c *Config) dataSettings(s map[string]any, in *Inputs, stage string, tasks TaskSet, turns int) {
	d := c.Data
	dialogues, personas := in.Train, in.TrainPersonas
	if tasks.File == FileValid {
		dialogues, personas = in.Valid, in.ValidPersonas
	}
	maps.Copy(s, map[string]any{
		"tasks." + stage + ".file": dialogues, "tasks." + stage + ".personas": personas,
		"tasks." + stage + ".held_out": tasks.HeldOut, "data.turns." + stage: turns,
		"data.rules": d.Rules, "data.match": d.Match, "data.separator": d.Separator, "data.max_length": d.MaxLength,
		"data.distractors":      d.Distractors,
		"data.candidates.train": d.Candidates.Train, "data.candidates.evaluate": d.Candidates.Evaluate})
	if y := c.Synthetic; y != nil {
		maps.Copy(s, map[string]any{
			"tasks." + stage + ".file": tasks.File, "synthetic.seed": y.Seed, "synthetic.dialogues": y.Dialogues, "synthetic.turns": y.Turns,
			"synthetic.personas.retrain": y.Personas.Retrain, "synthetic.personas.test": y.Personas.Test, "synthetic.candidates": y.Candidates})
	}
}

// unseenSettings say which replies a retraining must not meet: those of the test personas. Where the files differ, that
// is every reply of the test file; where they are one, its test tasks decide, and the distractors are drawn anew.
func (c *Config) unseenSettings(s map[string]any, in *Inputs) {
	test := c.Tasks.Test
	switch {
	case c.OneFile():
		s["tasks.test.ranks"], s["tasks.test.held_out"] = test.Ranks.String(), test.HeldOut
	case c.Data.Rules == "published":
	case test.File == FileValid:
		s["tasks.test.file"] = in.Valid
	default:
		s["tasks.test.file"] = in.Train
	}
	s["data.one_file"] = c.OneFile()
}

// retrainSettings say how a method moves the weights.
func (c *Config) retrainSettings(s map[string]any, method string) {
	r := c.Retrain
	v, err := ParseMethod(method)
	if err != nil {
		return // Parse has refused it
	}
	c.stageSettings(s, "retrain", r.Epochs, r.Batch, c.Schedule.RetrainFactor)
	if inner := methodsByKind[v.Kind].Inner; inner == nil {
		s["retrain.learning_rate"] = r.LearningRate
	} else {
		maps.Copy(s, map[string]any{"retrain.inner.learning_rate": r.Inner.LearningRate, "retrain.inner.weight_decay": r.Inner.WeightDecay,
			"retrain.inner.outer_learning_rate": r.Inner.OuterLearningRate})
		key, steps := r.Inner.steps(inner)
		s[key] = steps
	}
	if v.Rank > 0 {
		loraSettings(s, "retrain", r.LoRA)
	}
}

// steps are those of an inner loop, and the key that says so.
func (i Inner) steps(of *train.Inner) (key string, steps int) {
	if of.Outer == train.Displacement {
		return "retrain.inner.reptile_steps", i.ReptileSteps
	}
	return "retrain.inner.maml_steps", i.MAMLSteps
}

// adaptSettings do the same for a family.
func (c *Config) adaptSettings(s map[string]any, family string) {
	a := c.Adapt
	c.stageSettings(s, "adapt", a.Epochs, a.Batch, c.Schedule.AdaptFactor)
	if a.Score == ScoreLast {
		s["adapt.score"] = a.Score
	}
	if family == "full" {
		s["adapt.full_learning_rate"] = a.FullLearningRate
	} else {
		s["adapt.learning_rate"] = a.LearningRate
	}
	if v, err := ParseFamily(family); err == nil && v.Rank > 0 {
		loraSettings(s, "adapt", a.LoRA)
	}
}

// stageSettings are those that all methods or families of a stage share.
func (c *Config) stageSettings(s map[string]any, stage string, epochs, batch int, factor float64) {
	o := c.Optimizer
	maps.Copy(s, map[string]any{
		stage + ".epochs": epochs, stage + ".batch": batch,
		"optimizer.beta1": o.Beta1, "optimizer.beta2": o.Beta2, "optimizer.epsilon": o.Epsilon, "optimizer.weight_decay": o.WeightDecay,
		"schedule.decay": c.Schedule.Decay, "schedule.warmup": c.Schedule.Warmup})
	if o.SkipBroken {
		s["optimizer.skip_broken"] = true // only then: it changes nothing of a run whose numbers hold
	}
	if c.Schedule.Decay == DecayPublished {
		s["schedule."+stage+"_factor"] = factor
	}
}

func loraSettings(s map[string]any, stage string, l LoRA) {
	maps.Copy(s, map[string]any{stage + ".lora.alpha": l.Alpha, stage + ".lora.dropout": l.Dropout, stage + ".lora.targets": l.Targets})
}
