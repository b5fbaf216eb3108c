package pipeline

import (
	"fmt"
	"maps"
)

// Plan lists the units of an experiment in the order in which they run: every retraining, then every adaptation. The
// order, and so each unit's index, depends on the configuration alone.
func Plan(c *Config, in *Inputs) ([]Unit, error) {
	var units []Unit
	retrained := map[string]string{} // method and seed -> ID
	for _, seed := range c.Seeds {
		for _, method := range c.Retrain.Methods {
			u := retrainUnit(c, in, method, seed)
			if err := u.identify(); err != nil {
				return nil, err
			}
			retrained[fmt.Sprint(method, seed)] = u.ID
			units = append(units, u)
		}
	}
	for _, seed := range c.Seeds {
		for _, method := range c.Retrain.Methods {
			for _, family := range c.Adapt.Families {
				for _, rank := range c.Tasks.Test.Ranks {
					for fold := range c.Data.Folds {
						u := adaptUnit(c, in, method, seed, family, rank, fold)
						u.Needs = []string{retrained[fmt.Sprint(method, seed)]}
						if err := u.identify(); err != nil {
							return nil, err
						}
						units = append(units, u)
					}
				}
			}
		}
	}
	for i := range units {
		units[i].Index = i
	}
	return units, nil
}

func retrainUnit(c *Config, in *Inputs, method string, seed int) Unit {
	s := map[string]any{"method": method, "seed": seed, "data.tokenizer": in.Tokenizer, "model.dropout": c.Model.Dropout}
	c.baseSettings(s, in)
	if method != "none" {
		c.dataSettings(s, in, "retrain", c.Tasks.Retrain, c.Data.Turns.Retrain)
		s["tasks.retrain.ranks"] = c.Tasks.Retrain.Ranks.String()
		c.unseenSettings(s, in)
		r := c.Retrain
		c.stageSettings(s, "retrain", r.Epochs, r.Batch, r.LearningRate, c.Schedule.RetrainFactor)
		if v, err := ParseMethod(method); err == nil && v.Rank > 0 {
			loraSettings(s, "retrain", r.LoRA)
		}
	}
	return Unit{Kind: KindRetrain, Method: method, Seed: seed, Settings: s,
		Label: fmt.Sprintf("retrain %s seed %d", method, seed)}
}

func adaptUnit(c *Config, in *Inputs, method string, seed int, family string, rank, fold int) Unit {
	s := map[string]any{"method": method, "seed": seed, "family": family, "task": rank, "fold": fold,
		"data.folds": c.Data.Folds, "model.dropout": c.Model.Dropout}
	c.dataSettings(s, in, "test", c.Tasks.Test, c.Data.Turns.Test)
	a := c.Adapt
	c.stageSettings(s, "adapt", a.Epochs, a.Batch, a.LearningRate, c.Schedule.AdaptFactor)
	if v, err := ParseFamily(family); err == nil && v.Rank > 0 {
		loraSettings(s, "adapt", a.LoRA)
	}
	label := fmt.Sprintf("adapt %s → %s task %d seed %d", method, family, rank, seed)
	if c.Data.Folds > 1 {
		label += fmt.Sprintf(" fold %d", fold)
	}
	return Unit{Kind: KindAdapt, Method: method, Seed: seed, Family: family, Task: rank, Fold: fold, Settings: s, Label: label}
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

// stageSettings say how the weights move.
func (c *Config) stageSettings(s map[string]any, stage string, epochs, batch int, rate, factor float64) {
	o := c.Optimizer
	maps.Copy(s, map[string]any{
		stage + ".epochs": epochs, stage + ".batch": batch, stage + ".learning_rate": rate,
		"optimizer.beta1": o.Beta1, "optimizer.beta2": o.Beta2, "optimizer.epsilon": o.Epsilon, "optimizer.weight_decay": o.WeightDecay,
		"schedule.decay": c.Schedule.Decay, "schedule.warmup": c.Schedule.Warmup})
	if c.Schedule.Decay == DecayPublished {
		s["schedule."+stage+"_factor"] = factor
	}
}

func loraSettings(s map[string]any, stage string, l LoRA) {
	maps.Copy(s, map[string]any{stage + ".lora.alpha": l.Alpha, stage + ".lora.dropout": l.Dropout, stage + ".lora.targets": l.Targets})
}
