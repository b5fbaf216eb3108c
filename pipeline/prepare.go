package pipeline

import (
	"fmt"
	"slices"

	"metalora/convai2"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
	"metalora/tokenize"
)

// dataSeed is the seed of everything drawn about the data: distractors and smaller candidate lists. The experiment's
// seeds leave the data as it is, so that they measure training alone.
const dataSeed = 0

// material is the experiment's data: dialogues and tasks of a configuration, as text.
type material struct {
	config    *Config
	dialogues map[string][]*convai2.Dialogue // by file: train, valid
	clusters  map[string]*convai2.Clustering // by stage: retrain, test
}

// The two stages of an experiment, as the configuration names them.
const (
	stageRetrain = "retrain"
	stageTest    = "test"
)

// newMaterial reads or makes the dialogues and sorts them into personas.
func newMaterial(c *Config) (*material, error) {
	m := &material{config: c, dialogues: map[string][]*convai2.Dialogue{}, clusters: map[string]*convai2.Clustering{}}
	maps, err := m.read()
	if err != nil {
		return nil, fault.Input(err)
	}
	for stage, set := range map[string]TaskSet{stageRetrain: c.Tasks.Retrain, stageTest: c.Tasks.Test} {
		clusters, err := convai2.Clusters(m.dialogues[set.File], maps[set.File],
			convai2.Rules(c.Data.Rules), convai2.Match(c.Data.Match), set.HeldOut)
		if err != nil {
			return nil, fault.Input(fmt.Errorf("sorting the dialogues of %s into personas: %w", m.source(set), err))
		}
		m.clusters[stage] = clusters
	}
	return m, nil
}

// read fills the dialogues and returns the persona maps by file.
func (m *material) read() (map[string]*convai2.PersonaMap, error) {
	if m.config.Synthetic != nil {
		return m.generate()
	}
	maps := map[string]*convai2.PersonaMap{}
	for _, file := range []string{m.config.Tasks.Retrain.File, m.config.Tasks.Test.File} {
		if m.dialogues[file] != nil {
			continue
		}
		path, mapping := m.config.File(file)
		ds, err := convai2.ReadFile(path)
		if err != nil {
			return nil, err
		}
		m.dialogues[file] = ds
		if mapping == NoPersonas {
			continue
		}
		if maps[file], err = convai2.LoadPersonaMap(mapping); err != nil {
			return nil, err
		}
	}
	return maps, nil
}

// source is the file of a set of tasks, for messages.
func (m *material) source(set TaskSet) string {
	if m.config.Synthetic != nil {
		return "the synthetic " + set.File + " dialogues"
	}
	path, _ := m.config.File(set.File)
	return path
}

// retrainTasks makes the tasks to retrain on. Neither a reply of a test turn nor, where both come from one file, a
// dialogue of a test persona is met there.
func (m *material) retrainTasks() ([]convai2.Task, error) {
	c, options := m.config, m.options(stageRetrain, m.config.Tasks.Retrain)
	clean := convai2.Rules(c.Data.Rules) != convai2.Published
	if c.OneFile() {
		options.Distractors.Mode = convai2.Redraw
	}
	if clean || c.OneFile() {
		options.Distractors.Forbidden = m.testReplies()
	}
	return m.tasks(options, stageRetrain, c.Tasks.Retrain)
}

// testTasks makes the tasks to adapt to, with the dialogues of one fold held out.
func (m *material) testTasks(fold int) ([]convai2.Task, error) {
	options := m.options(stageTest, m.config.Tasks.Test)
	options.Fold, options.Folds = fold, m.config.Data.Folds
	return m.tasks(options, stageTest, m.config.Tasks.Test)
}

func (m *material) options(stage string, set TaskSet) convai2.TaskOptions {
	d := m.config.Data
	return convai2.TaskOptions{Name: stage, File: set.File, Ranks: set.Ranks, HeldOut: set.HeldOut, Separator: d.Separator,
		Distractors: convai2.Distractors{Count: d.Distractors, Seed: dataSeed}}
}

func (m *material) tasks(o convai2.TaskOptions, stage string, set TaskSet) ([]convai2.Task, error) {
	tasks, err := convai2.Tasks(m.dialogues[set.File], m.clusters[stage], o)
	if err != nil {
		return nil, fault.Input(fmt.Errorf("%s: %w", m.source(set), err))
	}
	return tasks, nil
}

// testReplies are what retraining may not score as distractors: every reply of the test file, or, where the retraining
// tasks share it, every reply of the test tasks.
func (m *material) testReplies() map[string]bool {
	set, replies := m.config.Tasks.Test, map[string]bool{}
	chosen := map[int]bool{}
	for _, rank := range set.Ranks {
		if ranked := m.clusters[stageTest].Ranked; rank <= len(ranked) {
			for _, i := range ranked[rank-1].Dialogues {
				chosen[i] = true
			}
		}
	}
	for i, d := range m.dialogues[set.File] {
		if m.config.OneFile() && !chosen[i] {
			continue
		}
		for _, t := range d.Turns {
			replies[t.Self] = true
		}
	}
	return replies
}

// check refuses an experiment whose training would meet what it is measured on. The published rules do meet it, so
// there the violations are only counted.
func (m *material) check(retrain, test []convai2.Task) (notes []string, err error) {
	all := slices.Concat(retrain, test)
	checks := []struct {
		what  string
		found []convai2.Violation
	}{
		{"dialogues are both trained on and held out", convai2.CheckSplits(all)},
		{"training turns are held-out turns by what was said", convai2.CheckTurns(all)},
		{"retraining tasks have the persona of a test task", convai2.CheckPersonas(retrain, test)},
		{"dialogues of retraining tasks are conversations of a test task", convai2.CheckConversations(retrain, test)},
		{"held-out replies are scored as distractors in retraining", append(convai2.CheckDistractors(retrain, retrain), convai2.CheckDistractors(retrain, test)...)},
		{"held-out replies of test tasks are scored as distractors where retraining chooses its epoch", convai2.CheckSelection(retrain, test)},
		{"held-out replies are scored as distractors in adaptation", convai2.CheckDistractors(test, test)},
		{"distractors are the real reply", convai2.CheckReplies(all)},
	}
	for i, c := range checks {
		if len(c.found) == 0 {
			continue
		}
		if i < 4 || convai2.Rules(m.config.Data.Rules) != convai2.Published {
			return nil, fault.Input(fmt.Errorf("checking the split: %d %s, first: %v", len(c.found), c.what, c.found[0]))
		}
		notes = append(notes, fmt.Sprintf("%d %s, as in the published data (rules: clean repairs them).", len(c.found), c.what))
	}
	return notes, nil
}

// encode tokenizes a task for the engine. maxLength bounds a pair in tokens.
func encode(c *Config, t *tokenize.Tokenizer, task convai2.Task, turns, maxLength int) (train.Task, int, error) {
	out := train.Task{Name: task.Name}
	samples := task.Train
	if turns > 0 && turns < len(samples) {
		samples = samples[:turns]
	}
	cut := 0
	add := func(to *[]train.Turn, samples []convai2.Sample, candidates int) error {
		for _, s := range samples {
			turn, err := encodeTurn(t, fewer(s, task.Name, candidates), maxLength)
			if err != nil {
				return fault.Input(fmt.Errorf("task %s, dialogue %d, turn %d: %w", task.Name, s.Dialogue, s.Turn, err))
			}
			cut += turn.Cut
			*to = append(*to, turn)
		}
		return nil
	}
	if err := add(&out.Train, samples, c.Data.Candidates.Train); err != nil {
		return out, 0, err
	}
	err := add(&out.HeldOut, task.HeldOut, c.Data.Candidates.Evaluate)
	return out, cut, err
}

func encodeTurn(t *tokenize.Tokenizer, s convai2.Sample, maxLength int) (train.Turn, error) {
	batch, err := t.Turn(s.Context, s.Candidates, maxLength)
	return train.Turn{Batch: batch, Gold: s.Gold, Dialogue: s.Dialogue, Turn: s.Turn}, err
}

// fewer cuts a sample's candidates to the real reply and a seeded choice of the others, in their order; 0 keeps all.
func fewer(s convai2.Sample, task string, candidates int) convai2.Sample {
	if candidates <= 0 || candidates >= len(s.Candidates) {
		return s
	}
	keep := map[int]bool{s.Gold: true}
	for _, i := range rng.New(dataSeed, "candidates", task, s.Dialogue, s.Turn).Perm(len(s.Candidates)) {
		if len(keep) == candidates {
			break
		}
		keep[i] = true
	}
	kept := s
	kept.Candidates = nil
	for i, text := range s.Candidates {
		if i == s.Gold {
			kept.Gold = len(kept.Candidates)
		}
		if keep[i] {
			kept.Candidates = append(kept.Candidates, text)
		}
	}
	return kept
}
