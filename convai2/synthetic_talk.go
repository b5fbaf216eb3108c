package convai2

import (
	"fmt"
	"slices"
	"strings"

	"metalora/pipeline/rng"
)

// sentences are the persona sentences that state the facts.
func (f facts) sentences() []string {
	all := make([]string, len(f))
	for i, a := range attributes {
		all[i] = strings.ReplaceAll(a.persona, "%", a.values[f[i]])
	}
	return all
}

// talk fills a dialogue with turns, each about another fact.
func (g *generator) talk(d *Dialogue, f facts, s *rng.Stream) error {
	for i, attribute := range s.Perm(len(attributes))[:g.Turns] {
		told := fact{attribute, f[attribute]}
		reply, ok := compose(told, s, func(text string) bool { return !g.said[text] })
		if !ok {
			return errUsedUp(told)
		}
		g.said[reply] = true
		g.asked[d] = append(g.asked[d], told)
		d.Turns = append(d.Turns, Turn{Partner: question(attribute, i == 0, s), Self: reply})
	}
	return nil
}

// question is what a partner says to bring a fact up.
func question(attribute int, first bool, s *rng.Stream) string {
	a := attributes[attribute]
	text := choose(a.questions, s)
	text = strings.ReplaceAll(text, "%", choose(a.values, s))
	if first {
		return choose(greetings, s) + " " + text
	}
	return strings.TrimSpace(choose(interjections, s) + " " + text)
}

// compose tells a fact in a phrasing that fits; false after many tries in vain.
func compose(told fact, s *rng.Stream, fits func(string) bool) (string, bool) {
	a := attributes[told.attribute]
	for range 50 {
		text := strings.ReplaceAll(choose(a.replies, s), "%", a.values[told.value])
		text = strings.TrimSpace(choose(openers, s)+" "+text) + " " + choose(closers, s)
		if fits(text) {
			return text, true
		}
	}
	return "", false
}

// distract adds the candidates of a dialogue's turns.
func (g *generator) distract(d *Dialogue) error {
	for i := range d.Turns {
		t := &d.Turns[i]
		s := rng.New(g.Seed, "synthetic", "distractors", d.File, d.Index, i)
		used := map[string]bool{}
		for _, told := range others(g.asked[d][i], g.Candidates-1, s) {
			text, ok := g.distractor(told, used, s)
			if !ok {
				return errUsedUp(told)
			}
			used[text] = true
			g.spent[text] = true
			t.Candidates = append(t.Candidates, text)
		}
		shuffled := make([]string, 0, g.Candidates)
		for _, j := range s.Perm(len(t.Candidates)) {
			shuffled = append(shuffled, t.Candidates[j])
		}
		t.Candidates = append(shuffled, t.Self)
	}
	return nil
}

func errUsedUp(told fact) error {
	return fmt.Errorf("no new way is left to say %q: ask for fewer personas, dialogues or turns",
		attributes[told.attribute].values[told.value])
}

// distractor tells a fact in words that nobody uses for a real reply, nor this turn for another distractor, and that no
// other distractor uses as long as there are such words.
func (g *generator) distractor(told fact, used map[string]bool, s *rng.Stream) (string, bool) {
	free := func(text string) bool { return !g.said[text] && !used[text] }
	if text, ok := compose(told, s, func(text string) bool { return free(text) && !g.spent[text] }); ok {
		return text, true
	}
	return compose(told, s, free)
}

// others are the facts that n distractors tell: half of them another value of the same attribute, each value once, and
// the rest any values of the other attributes in turn.
func others(asked fact, n int, s *rng.Stream) []fact {
	var told []fact
	same := s.Perm(len(attributes[asked.attribute].values))
	same = slices.DeleteFunc(same, func(v int) bool { return v == asked.value })
	for _, v := range same[:min(len(same), (n+1)/2)] {
		told = append(told, fact{asked.attribute, v})
	}
	rest := slices.DeleteFunc(s.Perm(len(attributes)), func(a int) bool { return a == asked.attribute })
	for i := 0; len(told) < n; i++ {
		a := rest[i%len(rest)]
		told = append(told, fact{a, s.IntN(len(attributes[a].values))})
	}
	return told
}

func choose(texts []string, s *rng.Stream) string { return texts[s.IntN(len(texts))] }
