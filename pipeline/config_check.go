package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"metalora/models"
	"metalora/onnx/ort"
	"metalora/pipeline/config"
)

// check returns the first rule that the configuration breaks.
func (c *Config) check() error {
	return c.origins.Check(slices.Concat(c.generalRules(), c.taskRules(), c.dataRules(), c.modelRules(), c.trainingRules()))
}

func (c *Config) generalRules() []config.Rule {
	plain := c.Name != "" && c.Name != "." && c.Name != ".." && !strings.ContainsAny(c.Name, `/\:*?"<>|`)
	rules := []config.Rule{
		config.Require("name", plain, fmt.Sprintf("%q cannot be the name of a folder", c.Name)),
		config.Distinct("seeds", c.Seeds),
		config.AtLeast("threads", c.Threads, 0),
		config.OneOf("device", string(c.Device), string(ort.CPU), string(ort.CUDA)),
		config.OneOf("memory", c.Memory, MemoryRefuse, MemoryWarn),
		config.AtLeast("checkpoint.minutes", c.Checkpoint.Minutes, 0),
		config.AtLeast("checkpoint.steps", c.Checkpoint.Steps, 0),
		config.AtLeast("checkpoint.keep", c.Checkpoint.Keep, 2), // the one before stays while the newest may prove damaged
	}
	for _, seed := range c.Seeds {
		rules = append(rules, config.AtLeast("seeds", seed, 0))
	}
	return rules
}

func (c *Config) dataRules() []config.Rule {
	d := c.Data
	rules := []config.Rule{
		config.OneOf("data.rules", d.Rules, "clean", "published"),
		config.OneOf("data.match", d.Match, "expand", "literal", "subset"),
		config.AtLeast("data.distractors", d.Distractors, 1),
		config.AtLeast("data.turns.retrain", d.Turns.Retrain, 0),
		config.AtLeast("data.turns.test", d.Turns.Test, 0),
		candidates("data.candidates.train", d.Candidates.Train),
		candidates("data.candidates.evaluate", d.Candidates.Evaluate),
		config.AtLeast("data.folds", d.Folds, 1),
		config.Require("data.max_length", d.MaxLength == 0 || d.MaxLength >= 8, fmt.Sprintf("%d tokens cannot hold a pair: 0 (the model's positions) or 8 and more", d.MaxLength)),
		config.Require("data.folds", d.Folds == 1 || d.Rules == "clean", "rotating the held-out dialogues goes with data.rules: clean; the published split is one"),
	}
	if s := c.Synthetic; s != nil {
		return append(rules,
			config.Require("synthetic", d.Train == "" && d.Valid == "", "made-up dialogues stand in place of data.train and data.valid: leave one or the other out (--set synthetic=null)"),
			config.AtLeast("synthetic.personas.retrain", s.Personas.Retrain, 2),
			config.AtLeast("synthetic.personas.test", s.Personas.Test, 2),
			config.AtLeast("synthetic.dialogues", s.Dialogues, 2),
			config.AtLeast("synthetic.turns", s.Turns, 1),
			config.AtLeast("synthetic.candidates", s.Candidates, 2),
			config.AtLeast("synthetic.vocabulary", s.Vocabulary, 261), // 256 bytes and five special tokens
			config.AtLeast("synthetic.seed", s.Seed, 0))
	}
	for _, name := range []string{c.Tasks.Retrain.File, c.Tasks.Test.File} {
		file, _ := c.File(name)
		rules = append(rules, config.Require("data."+name, file != "", "there is no file, and tasks come from it"))
	}
	return rules
}

func candidates(key string, n int) config.Rule {
	return config.Require(key, n == 0 || n >= 2, fmt.Sprintf("%d is not possible: 0 (all) or 2 and more", n))
}

func (c *Config) taskRules() []config.Rule {
	var rules []config.Rule
	for _, stage := range []struct {
		key   string
		tasks TaskSet
	}{{"tasks.retrain", c.Tasks.Retrain}, {"tasks.test", c.Tasks.Test}} {
		rules = append(rules,
			config.OneOf(stage.key+".file", stage.tasks.File, FileTrain, FileValid),
			config.Distinct(stage.key+".ranks", stage.tasks.Ranks),
			config.AtLeast(stage.key+".held_out", stage.tasks.HeldOut, 1))
	}
	for _, rank := range c.Tasks.Test.Ranks {
		twice := c.OneFile() && slices.Contains(c.Tasks.Retrain.Ranks, rank)
		rules = append(rules, config.Require("tasks.test.ranks", !twice,
			fmt.Sprintf("rank %d of the same file is a retraining task too: a test persona has to be unseen", rank)))
	}
	return rules
}

func (c *Config) modelRules() []config.Rule {
	m := c.Model
	rules := []config.Rule{
		config.Require("model.init", m.Path == "" || m.Init == nil, "model.path and model.init exclude each other: a base is loaded or drawn (--set model.init=null takes it away)"),
		config.Require("model", m.Path != "" || m.Init != nil, "there is no base: give model.path (a folder) or model.init (a shape to start from scratch)"),
		config.Share("model.dropout", m.Dropout),
		config.Require("model.tokenizer", m.Tokenizer != "" || c.Synthetic != nil || m.Init == nil, "model.init needs a tokenizer folder (--set model.tokenizer=DIR)"),
	}
	i := m.Init
	if i == nil {
		return rules
	}
	return append(rules,
		config.OneOf("model.init.family", i.Family, models.Families()...),
		config.AtLeast("model.init.hidden", i.Hidden, 1),
		config.AtLeast("model.init.layers", i.Layers, 1),
		config.AtLeast("model.init.heads", i.Heads, 1),
		config.Require("model.init.heads", i.Heads > 0 && i.Hidden%i.Heads == 0, fmt.Sprintf("%d heads do not divide hidden %d", i.Heads, i.Hidden)),
		config.AtLeast("model.init.intermediate", i.Intermediate, 1),
		config.AtLeast("model.init.positions", i.Positions, 10), // two are spoken for, a pair needs eight
		config.AtLeast("model.init.vocabulary", i.Vocabulary, 0),
		config.Require("data.max_length", c.Data.MaxLength <= i.shape().Limits().Length, fmt.Sprintf("%d tokens do not fit %d positions, of which RoBERTa uses two less", c.Data.MaxLength, i.Positions)))
}

func (c *Config) trainingRules() []config.Rule {
	r, a, o, s := c.Retrain, c.Adapt, c.Optimizer, c.Schedule
	rules := slices.Concat(
		nameRules("retrain.methods", r.Methods, ParseMethod),
		stageRules("retrain", r.Epochs, r.Batch, r.LearningRate, r.LoRA),
		nameRules("adapt.families", a.Families, ParseFamily),
		stageRules("adapt", a.Epochs, a.Batch, a.LearningRate, a.LoRA),
		innerRules(r), c.comparisonRules())
	return append(rules,
		config.Share("optimizer.beta1", o.Beta1),
		config.Share("optimizer.beta2", o.Beta2),
		config.Positive("optimizer.epsilon", o.Epsilon),
		config.AtLeast("optimizer.weight_decay", o.WeightDecay, 0),
		config.OneOf("schedule.decay", s.Decay, DecayTotal, DecayPublished),
		config.Share("schedule.warmup", s.Warmup),
		config.Positive("schedule.retrain_factor", s.RetrainFactor),
		config.Positive("schedule.adapt_factor", s.AdaptFactor),
		config.OneOf("adapt.score", a.Score, ScoreEvery, ScoreLast))
}

func innerRules(r Retrain) []config.Rule {
	rules := []config.Rule{
		config.Distinct("retrain.rate_factors", r.RateFactors),
		config.Positive("retrain.inner.learning_rate", r.Inner.LearningRate),
		config.Positive("retrain.inner.outer_learning_rate", r.Inner.OuterLearningRate),
		config.AtLeast("retrain.inner.weight_decay", r.Inner.WeightDecay, 0),
		config.AtLeast("retrain.inner.reptile_steps", r.Inner.ReptileSteps, 0),
		config.AtLeast("retrain.inner.maml_steps", r.Inner.MAMLSteps, 1),
	}
	for _, factor := range r.RateFactors {
		rules = append(rules, config.Positive("retrain.rate_factors", factor))
	}
	for _, name := range r.Methods {
		v, _ := ParseMethod(name)
		halves := v.Kind == "fomaml" || v.Kind == "anil"
		rules = append(rules, config.Require("retrain.batch", !halves || r.Batch >= 2,
			name+" splits each batch into a support and a query half: it has to be 2 or more"))
	}
	return rules
}

// comparisonRules refuse what could run but would leave the question open.
func (c *Config) comparisonRules() []config.Rule {
	kinds := map[string]bool{}
	for _, name := range c.Adapt.Families {
		v, _ := ParseFamily(name)
		kinds[v.Kind] = true
	}
	rules := []config.Rule{
		config.Distinct("adapt.turns", c.Adapt.Turns),
		config.Positive("adapt.full_learning_rate", c.Adapt.FullLearningRate),
	}
	for _, name := range c.Retrain.Methods {
		v, _ := ParseMethod(name)
		want := trainsFor[v.Kind]
		example := Variant{want, v.Rank}
		rules = append(rules, config.Require("retrain.methods", want == "" || kinds[want],
			fmt.Sprintf("%s retrains for adaptation by %s, and adapt.families has none of that kind: add %s, or leave the method out", name, want, example)))
	}
	for _, over := range c.Report.Paired {
		n := map[string]int{PairedTasks: len(c.Tasks.Test.Ranks), PairedSeeds: len(c.Seeds)}
		rules = append(rules, config.OneOf("report.paired", over, PairedTasks, PairedSeeds),
			config.Require("report.paired", n[over] != 1, fmt.Sprintf("a test paired over %s needs two of them or more, and there is one", over)))
	}
	return append(rules, config.Require("report.baseline", c.Report.Baseline == "" || slices.Contains(c.Retrain.Methods, c.Report.Baseline),
		fmt.Sprintf("%q is none of the methods%s", c.Report.Baseline, config.Suggest(c.Report.Baseline, c.Retrain.Methods))))
}

func nameRules(key string, names []string, parse func(string) (Variant, error)) []config.Rule {
	rules := []config.Rule{config.Distinct(key, names)}
	for _, name := range names {
		if _, err := parse(name); err != nil {
			rules = append(rules, config.Require(key, false, err.Error()))
		}
	}
	return rules
}

func stageRules(key string, epochs, batch int, rate float64, lora LoRA) []config.Rule {
	return []config.Rule{
		config.AtLeast(key+".epochs", epochs, 1),
		config.AtLeast(key+".batch", batch, 1),
		config.Positive(key+".learning_rate", rate),
		config.Positive(key+".lora.alpha", lora.Alpha),
		config.Share(key+".lora.dropout", lora.Dropout),
	}
}
