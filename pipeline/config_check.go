package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// rule is one thing that a configuration has to fulfil.
type rule struct {
	key     string
	holds   bool
	problem string
}

// check returns the first rule that the configuration breaks.
func (c *Config) check() error {
	rules := slices.Concat(c.generalRules(), c.taskRules(), c.dataRules(), c.modelRules(), c.trainingRules())
	for _, r := range rules {
		if !r.holds {
			return c.Problem(r.key, "%s", r.problem)
		}
	}
	return nil
}

func atLeast[T int | float64](key string, value, least T) rule {
	return rule{key, value >= least, fmt.Sprintf("%v is not possible: it has to be %v or more", value, least)}
}

func positive(key string, value float64) rule {
	return rule{key, value > 0, fmt.Sprintf("%v is not possible: it has to be above 0", value)}
}

// share is a number from 0 up to, but not including, 1.
func share(key string, value float64) rule {
	return rule{key, value >= 0 && value < 1, fmt.Sprintf("%v is not possible: it has to be at least 0 and below 1", value)}
}

func oneOf(key, value string, valid ...string) rule {
	return rule{key, slices.Contains(valid, value), fmt.Sprintf("%q is not possible%s", value, suggest(value, valid))}
}

// distinct is a list that has something in it, and nothing twice.
func distinct[T comparable](key string, list []T) rule {
	if len(list) == 0 {
		return rule{key, false, "the list is empty: there is nothing to do"}
	}
	for i, x := range list {
		if slices.Contains(list[:i], x) {
			return rule{key, false, fmt.Sprintf("%v is there twice", x)}
		}
	}
	return rule{key: key, holds: true}
}

func (c *Config) generalRules() []rule {
	plain := c.Name != "" && c.Name != "." && c.Name != ".." && !strings.ContainsAny(c.Name, `/\:*?"<>|`)
	rules := []rule{
		{"name", plain, fmt.Sprintf("%q cannot be the name of a folder", c.Name)},
		distinct("seeds", c.Seeds),
		atLeast("threads", c.Threads, 0),
	}
	for _, seed := range c.Seeds {
		rules = append(rules, atLeast("seeds", seed, 0))
	}
	return rules
}

func (c *Config) dataRules() []rule {
	d := c.Data
	rules := []rule{
		oneOf("data.rules", d.Rules, "clean", "published"),
		oneOf("data.match", d.Match, "expand", "literal", "subset"),
		atLeast("data.distractors", d.Distractors, 1),
		atLeast("data.turns.retrain", d.Turns.Retrain, 0),
		atLeast("data.turns.test", d.Turns.Test, 0),
		candidates("data.candidates.train", d.Candidates.Train),
		candidates("data.candidates.evaluate", d.Candidates.Evaluate),
		atLeast("data.folds", d.Folds, 1),
		{"data.max_length", d.MaxLength == 0 || d.MaxLength >= 8, fmt.Sprintf("%d tokens cannot hold a pair: 0 (the model's positions) or 8 and more", d.MaxLength)},
		{"data.folds", d.Folds == 1 || d.Rules == "clean", "rotating the held-out dialogues goes with data.rules: clean; the published split is one"},
	}
	if s := c.Synthetic; s != nil {
		return append(rules,
			rule{"synthetic", d.Train == "" && d.Valid == "", "made-up dialogues stand in place of data.train and data.valid: leave one or the other out (--set synthetic=null)"},
			atLeast("synthetic.personas.retrain", s.Personas.Retrain, 2),
			atLeast("synthetic.personas.test", s.Personas.Test, 2),
			atLeast("synthetic.dialogues", s.Dialogues, 2),
			atLeast("synthetic.turns", s.Turns, 1),
			atLeast("synthetic.candidates", s.Candidates, 2),
			atLeast("synthetic.vocabulary", s.Vocabulary, 261), // 256 bytes and five special tokens
			atLeast("synthetic.seed", s.Seed, 0))
	}
	for _, name := range []string{c.Tasks.Retrain.File, c.Tasks.Test.File} {
		file, _ := c.File(name)
		rules = append(rules, rule{"data." + name, file != "", "there is no file, and tasks come from it"})
	}
	return rules
}

func candidates(key string, n int) rule {
	return rule{key, n == 0 || n >= 2, fmt.Sprintf("%d is not possible: 0 (all) or 2 and more", n)}
}

func (c *Config) taskRules() []rule {
	var rules []rule
	for _, stage := range []struct {
		key   string
		tasks TaskSet
	}{{"tasks.retrain", c.Tasks.Retrain}, {"tasks.test", c.Tasks.Test}} {
		rules = append(rules,
			oneOf(stage.key+".file", stage.tasks.File, FileTrain, FileValid),
			distinct(stage.key+".ranks", stage.tasks.Ranks),
			atLeast(stage.key+".held_out", stage.tasks.HeldOut, 1))
	}
	for _, rank := range c.Tasks.Test.Ranks {
		twice := c.OneFile() && slices.Contains(c.Tasks.Retrain.Ranks, rank)
		rules = append(rules, rule{"tasks.test.ranks", !twice,
			fmt.Sprintf("rank %d of the same file is a retraining task too: a test persona has to be unseen", rank)})
	}
	return rules
}

func (c *Config) modelRules() []rule {
	m := c.Model
	rules := []rule{
		{"model.init", m.Path == "" || m.Init == nil, "model.path and model.init exclude each other: a base is loaded or drawn (--set model.init=null takes it away)"},
		{"model", m.Path != "" || m.Init != nil, "there is no base: give model.path (a folder) or model.init (a shape to start from scratch)"},
		share("model.dropout", m.Dropout),
		{"model.tokenizer", m.Tokenizer != "" || c.Synthetic != nil || m.Init == nil, "model.init needs a tokenizer folder (--set model.tokenizer=DIR)"},
	}
	i := m.Init
	if i == nil {
		return rules
	}
	return append(rules,
		atLeast("model.init.hidden", i.Hidden, 1),
		atLeast("model.init.layers", i.Layers, 1),
		atLeast("model.init.heads", i.Heads, 1),
		rule{"model.init.heads", i.Heads > 0 && i.Hidden%i.Heads == 0, fmt.Sprintf("%d heads do not divide hidden %d", i.Heads, i.Hidden)},
		atLeast("model.init.intermediate", i.Intermediate, 1),
		atLeast("model.init.positions", i.Positions, 10), // two are spoken for, a pair needs eight
		atLeast("model.init.vocabulary", i.Vocabulary, 0),
		rule{"data.max_length", c.Data.MaxLength <= i.Positions-2, fmt.Sprintf("%d tokens do not fit %d positions, of which RoBERTa uses two less", c.Data.MaxLength, i.Positions)})
}

func (c *Config) trainingRules() []rule {
	r, a, o, s := c.Retrain, c.Adapt, c.Optimizer, c.Schedule
	rules := slices.Concat(
		nameRules("retrain.methods", r.Methods, ParseMethod),
		stageRules("retrain", r.Epochs, r.Batch, r.LearningRate, r.LoRA),
		nameRules("adapt.families", a.Families, ParseFamily),
		stageRules("adapt", a.Epochs, a.Batch, a.LearningRate, a.LoRA))
	return append(rules,
		share("optimizer.beta1", o.Beta1),
		share("optimizer.beta2", o.Beta2),
		positive("optimizer.epsilon", o.Epsilon),
		atLeast("optimizer.weight_decay", o.WeightDecay, 0),
		oneOf("schedule.decay", s.Decay, DecayTotal, DecayPublished),
		share("schedule.warmup", s.Warmup),
		positive("schedule.retrain_factor", s.RetrainFactor),
		positive("schedule.adapt_factor", s.AdaptFactor))
}

func nameRules(key string, names []string, parse func(string) (Variant, error)) []rule {
	rules := []rule{distinct(key, names)}
	for _, name := range names {
		if _, err := parse(name); err != nil {
			rules = append(rules, rule{key, false, err.Error()})
		}
	}
	return rules
}

func stageRules(key string, epochs, batch int, rate float64, lora LoRA) []rule {
	return []rule{
		atLeast(key+".epochs", epochs, 1),
		atLeast(key+".batch", batch, 1),
		positive(key+".learning_rate", rate),
		positive(key+".lora.alpha", lora.Alpha),
		share(key+".lora.dropout", lora.Dropout),
	}
}
