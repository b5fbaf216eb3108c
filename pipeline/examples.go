package pipeline

import (
	"fmt"
	"unicode/utf8"

	"metalora/convai2"
	"metalora/eval"
)

// contextShown is how many characters of what was said before an example shows: the last two or three utterances.
const contextShown = 160

// quote fills in what was said in the turns of examples, from the dialogues that the experiment reads.
func quote(c *Config, examples []eval.Example) error {
	m, err := newMaterial(c)
	if err != nil {
		return err
	}
	type place struct {
		task                 string
		fold, dialogue, turn int
	}
	samples := map[place]convai2.Sample{}
	for fold := range c.Data.Folds {
		tasks, err := m.testTasks(fold)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			for _, s := range t.HeldOut {
				name := (&Unit{Kind: KindAdapt, Task: t.Rank}).Name()
				samples[place{name, fold, s.Dialogue, s.Turn}] = fewer(s, t.Name, c.Data.Candidates.Evaluate)
			}
		}
	}
	for i := range examples {
		e := &examples[i]
		s, there := samples[place{e.Task, e.Fold, e.Dialogue, e.Turn}]
		if !there || e.Chosen >= len(s.Candidates) {
			return fmt.Errorf("%s has no turn %d of dialogue %d with %d candidates", e.Task, e.Turn, e.Dialogue, e.Chosen+1)
		}
		e.Context, e.Reply, e.Instead = ending(s.Context, contextShown), s.Candidates[s.Gold], s.Candidates[e.Chosen]
	}
	return nil
}

// ending is the last characters of a text, with dots where something is cut off.
func ending(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	return "… " + string(runes[len(runes)-most:])
}
