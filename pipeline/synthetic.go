package pipeline

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"metalora/convai2"
	"metalora/pipeline/fault"
	"metalora/tokenize"
)

// generate makes the synthetic dialogues of both files, in place of reading them.
func (m *material) generate() (map[string]*convai2.PersonaMap, error) {
	s := m.config.Synthetic
	retrain, test, err := convai2.Generate(convai2.Synthetic{Seed: uint64(s.Seed), Retrain: s.Personas.Retrain, Test: s.Personas.Test,
		Dialogues: s.Dialogues, Turns: s.Turns, Candidates: s.Candidates})
	if err != nil {
		return nil, err
	}
	m.dialogues = map[string][]*convai2.Dialogue{FileTrain: retrain, FileValid: test}
	maps := map[string]*convai2.PersonaMap{}
	for file, ds := range m.dialogues {
		if maps[file], err = convai2.NewPersonaMap(ds); err != nil {
			return nil, err
		}
	}
	return maps, nil
}

// WriteSynthetic writes the experiment's synthetic dialogues and their persona maps as files in the official format.
func WriteSynthetic(c *Config, dir string) error {
	m := &material{config: c}
	maps, err := m.generate()
	if err != nil {
		return fault.Usage(err)
	}
	for file, ds := range m.dialogues {
		out, err := os.Create(filepath.Join(dir, file+"_self_original.txt"))
		if err != nil {
			return err
		}
		if err := convai2.Write(out, ds); err != nil {
			return err
		}
		if err := out.Close(); err != nil {
			return err
		}
		if out, err = os.Create(filepath.Join(dir, file+"_persona_map.json")); err != nil {
			return err
		}
		if _, err := maps[file].WriteTo(out); err != nil {
			return err
		}
		if err := out.Close(); err != nil {
			return err
		}
	}
	return nil
}

// openTokenizer loads the configured tokenizer, or trains one on the synthetic retraining dialogues: what the test
// personas say is not looked at.
func (e *executor) openTokenizer() error {
	c := e.config
	if dir := c.Model.Tokenizer; dir != "" {
		t, err := loadTokenizer(dir)
		if err != nil {
			return fault.Input(err)
		}
		e.tokenizer = t
		return nil
	}
	vocabulary, err := tokenize.Train(texts(e.material.dialogues[FileTrain]), c.Synthetic.Vocabulary)
	if err != nil {
		return fmt.Errorf("training the tokenizer: %w", err)
	}
	e.vocabulary = vocabulary
	e.tokenizer, err = tokenize.New(vocabulary)
	return err
}

// saveTokenizer puts the tokenizer's files into a model's folder.
func (e *executor) saveTokenizer(dir string) error {
	if e.vocabulary == nil {
		return nil // copied from the configured folder
	}
	return e.vocabulary.WriteFiles(dir)
}

// texts are all utterances and candidates of dialogues.
func texts(ds []*convai2.Dialogue) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, d := range ds {
			for _, t := range d.Turns {
				for _, text := range append([]string{t.Partner, t.Self}, t.Candidates...) {
					if !yield(text) {
						return
					}
				}
			}
		}
	}
}
