package convai2

import (
	"errors"
	"fmt"
	"slices"

	"metalora/pipeline/rng"
)

// Synthetic describes made-up dialogues for demonstrations and tests. 0 in a field means the number beside it.
//
// Every persona has ten facts, one value of twelve each, drawn evenly. The partner brings a fact up, the persona tells its
// own in one of many phrasings. Nothing said before gives the value away: a dialogue brings up no fact twice, and
// where the partner names a value, that is drawn evenly too. Half of the distractors tell the same kind of fact with
// other values, so the topic alone leaves a choice of eleven; the rest tell other facts of other personas. A real
// reply is said once in both files together and is nowhere a distractor, so having met a text is no hint.
type Synthetic struct {
	Seed       uint64
	Retrain    int // personas of the retraining file; 10
	Test       int // personas of the test file; 10
	Dialogues  int // of each persona; 10
	Turns      int // of each dialogue, at most the number of facts; 6
	Candidates int // of each turn, the real reply last, as in the official files; 20
}

const (
	maxSyntheticTurns      = 1_000_000 // of both files; the phrasings run out long before
	maxSyntheticCandidates = 100
	mostShared             = 5 // facts that two personas may have in common
)

func (o Synthetic) withDefaults() Synthetic {
	for field, number := range map[*int]int{&o.Retrain: 10, &o.Test: 10, &o.Dialogues: 10, &o.Turns: 6, &o.Candidates: 20} {
		if *field == 0 {
			*field = number
		}
	}
	return o
}

func (o Synthetic) check() error {
	switch {
	case min(o.Retrain, o.Test, o.Dialogues, o.Turns) < 1:
		return errors.New("personas, dialogues and turns: fewer than 1")
	case o.Turns > len(attributes):
		return fmt.Errorf("%d turns a dialogue, at most %d: there are no more facts", o.Turns, len(attributes))
	case o.Candidates < 2 || o.Candidates > maxSyntheticCandidates:
		return fmt.Errorf("%d candidates a turn, want 2 to %d", o.Candidates, maxSyntheticCandidates)
	case max(o.Retrain, o.Test, o.Dialogues) > maxSyntheticTurns ||
		(o.Retrain+o.Test)*o.Dialogues*o.Turns > maxSyntheticTurns:
		return fmt.Errorf("more than %d turns in all", maxSyntheticTurns)
	}
	return nil
}

// Generate makes the dialogues of a retraining file and of a test file, of different personas. Write and NewPersonaMap
// turn them into files. Equal descriptions give equal dialogues; too many turns for the phrasings there are is an error.
func Generate(o Synthetic) (retrain, test []*Dialogue, err error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, nil, fmt.Errorf("making synthetic dialogues: %w", err)
	}
	g := generator{Synthetic: o, said: map[string]bool{}, spent: map[string]bool{}, asked: map[*Dialogue][]fact{}}
	if retrain, test, err = g.files(); err != nil {
		return nil, nil, fmt.Errorf("making synthetic dialogues: %w", err)
	}
	return retrain, test, nil
}

// facts are one persona's values, an index for each attribute.
type facts []int

// generator holds what both files share: the texts that are used up.
type generator struct {
	Synthetic
	said  map[string]bool      // real replies
	spent map[string]bool      // distractors
	asked map[*Dialogue][]fact // what each turn of a dialogue brings up
}

// files makes both files: first what is said in them, then, knowing all of it, the distractors.
func (g *generator) files() (retrain, test []*Dialogue, err error) {
	personas, err := g.personas(g.Retrain + g.Test)
	if err != nil {
		return nil, nil, err
	}
	if retrain, err = g.file("retrain", personas[:g.Retrain]); err != nil {
		return nil, nil, err
	}
	if test, err = g.file("test", personas[g.Retrain:]); err != nil {
		return nil, nil, err
	}
	for _, d := range slices.Concat(retrain, test) {
		if err := g.distract(d); err != nil {
			return nil, nil, err
		}
	}
	return retrain, test, nil
}

// fact is a value of an attribute.
type fact struct{ attribute, value int }

func (g *generator) personas(n int) ([]facts, error) {
	s := rng.New(g.Seed, "synthetic", "facts")
	var all []facts
	for tries := 0; len(all) < n; tries++ {
		if tries > 100*n {
			return nil, fmt.Errorf("%d personas are too many to be different", n)
		}
		f := make(facts, len(attributes))
		for i, a := range attributes {
			f[i] = s.IntN(len(a.values))
		}
		if f.unlike(all) {
			all = append(all, f)
		}
	}
	return all, nil
}

func (f facts) unlike(others []facts) bool {
	for _, o := range others {
		common := 0
		for i := range f {
			if f[i] == o[i] {
				common++
			}
		}
		if common > mostShared {
			return false
		}
	}
	return true
}

// file makes one file's dialogues without candidates: the first of every persona, then the second of every persona, …
func (g *generator) file(name string, personas []facts) ([]*Dialogue, error) {
	var ds []*Dialogue
	line := 1
	for round := range g.Dialogues {
		for p, f := range personas {
			d := &Dialogue{Index: len(ds), Line: line, File: "synthetic " + name, Persona: f.sentences()}
			s := rng.New(g.Seed, "synthetic", name, p, round)
			if err := g.talk(d, f, s); err != nil {
				return nil, err
			}
			for i := range d.Turns {
				d.Turns[i].Line = line + len(d.Persona) + i
			}
			line += len(d.Persona) + len(d.Turns)
			ds = append(ds, d)
		}
	}
	return ds, nil
}
