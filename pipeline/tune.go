package pipeline

import (
	"context"
	"fmt"

	"metalora/convai2"
	"metalora/eval"
	"metalora/models/safetensors"
	"metalora/pipeline/fault"
	"metalora/pipeline/hub"
)

// TuneOptions say what to tune on what.
type TuneOptions struct {
	Model      string   // a Hugging Face folder, tokenizer included unless the settings name another
	Data       string   // a dialogue file
	Personas   string   // a persona map; "": dialogues with equal persona sentences are one persona's
	Persona    int      // the persona's rank in the file, from 1; 0: all dialogues of the file together
	Licence    string   // of the data, for the model card, as the hub writes it: cc-by-4.0; "": not known
	AdapterOut string   // where the adapter goes; "": it is measured and thrown away
	Sets       []string // overrides, as for an experiment: adapt.*, data.*, tasks.test.held_out, model.*, seeds
}

// TuneResult is what came of it. The metrics are of the held-out turns, after the last epoch.
type TuneResult struct {
	Adapter    string       `json:"adapter,omitempty"`
	Family     string       `json:"family"`
	Turns      int          `json:"turns"`
	Parameters int          `json:"parameters"`
	Steps      int          `json:"steps"`
	Cut        int          `json:"cut"`
	HeldOut    eval.Metrics `json:"held_out"`
	Epochs     []eval.Epoch `json:"epochs"`
	Elsewhere  []string     `json:"elsewhere,omitempty"` // what differed when it went on from a checkpoint of another environment
}

// tuneDefaults is the experiment that tuning is a part of: its second stage on one task.
const tuneDefaults = `
name: tune
seeds: [0]
data: {rules: clean}
tasks: {retrain: {file: valid, ranks: [2]}, test: {file: valid, ranks: [1], held_out: 2}}
retrain: {methods: [none]}
adapt: {families: [lora-8]}
`

// TuneConfig is the configuration that options stand for.
func TuneConfig(o TuneOptions) (*Config, error) {
	personas := o.Personas
	if personas == "" {
		personas = NoPersonas
	}
	sets := []string{"data.valid=" + quoted(o.Data), "data.valid_personas=" + quoted(personas), "model.path=" + quoted(o.Model)}
	c, err := Parse("tune", []byte(tuneDefaults), append(sets, o.Sets...))
	if err != nil {
		return nil, err
	}
	if len(c.Adapt.Families) != 1 || len(c.Seeds) != 1 {
		return nil, c.Problem("adapt.families", "tuning makes one adapter: name one family and one seed")
	}
	if c.Adapt.Families[0] == "none" {
		return nil, c.Problem("adapt.families", "without adaptation there is nothing to tune")
	}
	if c.Data.Folds != 1 {
		return nil, c.Problem("data.folds", "tuning holds out one set of dialogues")
	}
	return c, nil
}

func quoted(path string) string { return fmt.Sprintf("%q", path) }

// Tune fits one adapter, LoRA unless the settings say otherwise, to a file of dialogues; the last dialogues are held out.
func Tune(ctx context.Context, o TuneOptions, p Progress) (*TuneResult, error) {
	c, err := TuneConfig(o)
	if err != nil {
		return nil, err
	}
	t := newTuning(c, o, p)
	if r, err := t.earlier(); r != nil || err != nil {
		return r, err
	}
	if err := ready(c.Device); err != nil {
		return nil, err
	}
	base, err := loadModel(c.Model.Path)
	if err != nil {
		return nil, fault.Input(fmt.Errorf("loading the model: %w", err))
	}
	e := &executor{config: c}
	if e.tokenizer, err = loadTokenizer(c.Model.Tokenizer); err != nil {
		return nil, fault.Input(err)
	}
	if err := c.checkBase(base.Architecture, e.tokenizer); err != nil {
		return nil, err
	}
	task, err := tuneTask(c, o)
	if err != nil {
		return nil, err
	}
	t.base = base
	return e.tune(ctx, t, task)
}

// tuneTask makes the one task: a persona's dialogues or all of them.
func tuneTask(c *Config, o TuneOptions) (convai2.Task, error) {
	m := &material{config: c, dialogues: map[string][]*convai2.Dialogue{}, clusters: map[string]*convai2.Clustering{}}
	maps, err := m.read()
	if err != nil {
		return convai2.Task{}, fault.Input(err)
	}
	set, rank := c.Tasks.Test, o.Persona
	clusters := everything(m.dialogues[set.File], set.HeldOut)
	if rank > 0 {
		clusters, err = convai2.Clusters(m.dialogues[set.File], maps[set.File], convai2.Rules(c.Data.Rules), convai2.Match(c.Data.Match), set.HeldOut)
		if err != nil {
			return convai2.Task{}, fault.Input(fmt.Errorf("sorting the dialogues of %s into personas: %w", o.Data, err))
		}
	}
	m.clusters[stageTest] = clusters
	options := m.options(stageTest, set)
	options.Name, options.Ranks = "tune", Ranks{max(rank, 1)}
	tasks, err := m.tasks(options, stageTest, set)
	if err != nil {
		return convai2.Task{}, err
	}
	_, err = m.check(nil, tasks)
	return tasks[0], err
}

// everything is one cluster of all dialogues.
func everything(ds []*convai2.Dialogue, heldOut int) *convai2.Clustering {
	all := convai2.Cluster{Rank: 1}
	for i, d := range ds {
		all.Dialogues = append(all.Dialogues, i)
		all.Samples += len(d.Turns)
	}
	return &convai2.Clustering{Ranked: []convai2.Cluster{all}, Rules: convai2.Clean, HeldOut: heldOut}
}

// saveTuned writes the adapter, or after full fine-tuning the whole model with its tokenizer.
func (a *adaptation) saveTuned(dir string, o TuneOptions, own safetensors.Tensors, r *Result) error {
	if a.moved == nil {
		a.licence = o.Licence
		return a.save(dir, o.Model, own, r)
	}
	tokenizer, err := hub.Locate(a.config.Model.Tokenizer)
	if err == nil {
		err = a.base.Architecture.Save(dir, merged(a.moved, own), tokenizer)
	}
	if err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	return nil
}
