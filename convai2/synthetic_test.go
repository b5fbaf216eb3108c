package convai2

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"metalora/pipeline/golden"
)

func generate(t *testing.T, o Synthetic) (retrain, test []*Dialogue) {
	t.Helper()
	retrain, test, err := Generate(o)
	if err != nil {
		t.Fatal(err)
	}
	return retrain, test
}

func text(t *testing.T, ds []*Dialogue) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, ds); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSyntheticGolden(t *testing.T) {
	retrain, test := generate(t, Synthetic{Seed: 1, Retrain: 2, Test: 2, Dialogues: 2, Turns: 3, Candidates: 4})
	got := text(t, retrain) + text(t, test)
	golden.Compare(t, "testdata/synthetic.golden", got)
}

func TestSyntheticIsDeterministic(t *testing.T) {
	a, b := generate(t, Synthetic{Seed: 3})
	c, d := generate(t, Synthetic{Seed: 3})
	equal(t, []string{text(t, a), text(t, b)}, []string{text(t, c), text(t, d)})
	if e, _ := generate(t, Synthetic{Seed: 4}); text(t, e) == text(t, a) {
		t.Error("another seed makes the same dialogues")
	}
}

// TestSyntheticReadsBack: the file is right for our own reader, and the persona map finds every dialogue.
func TestSyntheticReadsBack(t *testing.T) {
	retrain, test := generate(t, Synthetic{})
	for _, ds := range [][]*Dialogue{retrain, test} {
		again := parse(t, text(t, ds))
		for _, d := range again {
			d.File = ds[0].File
		}
		equal(t, again, ds)
		pm, err := NewPersonaMap(ds)
		if err != nil {
			t.Fatal(err)
		}
		k := clusters(t, again, pm, Clean, MatchExpand, 2)
		equal(t, []int{len(k.Ranked), len(k.Unmatched), len(k.Single), len(k.Ranked[9].Dialogues)}, []int{10, 0, 0, 10})
	}
}

// TestSyntheticRules holds what Synthetic promises of turns and candidates.
func TestSyntheticRules(t *testing.T) {
	retrain, test := generate(t, Synthetic{})
	said, words := map[string]bool{}, map[string]bool{}
	for _, d := range slices.Concat(retrain, test) {
		topics := map[int]bool{}
		for _, turn := range d.Turns {
			if said[turn.Self] {
				t.Errorf("%q is said twice", turn.Self)
			}
			said[turn.Self] = true
			topics[told(t, turn.Self).attribute] = true
			for _, w := range strings.Fields(turn.Partner + " " + turn.Self) {
				words[w] = true
			}
		}
		equal(t, len(topics), 6)
	}
	distractors := map[string]int{}
	for _, d := range slices.Concat(retrain, test) {
		for _, turn := range d.Turns {
			checkCandidates(t, turn, said)
			for _, c := range turn.Candidates[:19] {
				distractors[c]++
			}
		}
	}
	if len(words) > 500 {
		t.Errorf("%d words, want a few hundred", len(words))
	}
	for text, n := range distractors {
		if n > 1 {
			t.Errorf("distractor %q stands %d times", text, n)
		}
	}
}

func checkCandidates(t *testing.T, turn Turn, said map[string]bool) {
	t.Helper()
	real, same := told(t, turn.Self), 0
	equal(t, len(turn.Candidates), 20)
	equal(t, turn.Candidates[19], turn.Self)
	for _, c := range turn.Candidates[:19] {
		f := told(t, c)
		if said[c] || f == real {
			t.Errorf("line %d: distractor %q is a real reply or tells the same fact", turn.Line, c)
		}
		if f.attribute == real.attribute {
			same++
		}
	}
	equal(t, same, 10)
}

// told finds the fact that a reply tells: exactly one word of it is a value.
func told(t *testing.T, reply string) fact {
	t.Helper()
	var found []fact
	for _, w := range strings.Fields(reply) {
		for a := range attributes {
			if v := slices.Index(attributes[a].values, w); v >= 0 {
				found = append(found, fact{a, v})
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("%q tells %d facts", reply, len(found))
	}
	return found[0]
}

// TestSyntheticNeedsAdaptation: who knows the topic alone is right in one of eleven held-out turns; who has also learned the
// persona's facts from its training dialogues is right in nearly all. So there is something to learn, and only there.
func TestSyntheticNeedsAdaptation(t *testing.T) {
	retrain, test := generate(t, Synthetic{})
	for name, ds := range map[string][]*Dialogue{"retrain": retrain, "test": test} {
		tasks := tasks(t, ds, Clean, TaskOptions{Name: name, File: name, Ranks: upTo(10), HeldOut: 2})
		var turns, informed, topical float64
		for _, task := range tasks {
			equal(t, task.Repaired+task.Drawn, 0)
			facts := map[fact]bool{}
			for _, s := range task.Train {
				facts[told(t, s.reply())] = true
			}
			for _, s := range task.HeldOut {
				turns++
				informed += chanceOfGold(t, s, func(f fact) bool { return facts[f] })
				topical += chanceOfGold(t, s, func(fact) bool { return true })
			}
		}
		equal(t, turns, 120.0)
		t.Logf("%s: %.3f with the persona's facts, %.3f without", name, informed/turns, topical/turns)
		if informed/turns < 0.95 || topical/turns > 0.1 {
			t.Errorf("%s: accuracy %.3f with the persona's facts, %.3f without; want over 0.95 and under 0.1",
				name, informed/turns, topical/turns)
		}
	}
}

// chanceOfGold is how often the real reply is chosen by one who sees what most candidates are about and picks evenly among
// those that tell a fact it believes, or among all about that topic where it believes none.
func chanceOfGold(t *testing.T, s Sample, believes func(fact) bool) float64 {
	t.Helper()
	topics := make([]int, len(attributes))
	for _, c := range s.Candidates {
		topics[told(t, c).attribute]++
	}
	topic := slices.Index(topics, slices.Max(topics))
	believed, gold := 0.0, 0.0
	for i, c := range s.Candidates {
		if f := told(t, c); f.attribute == topic && believes(f) {
			believed++
			if i == s.Gold {
				gold = 1
			}
		}
	}
	if believed == 0 {
		return 1 / float64(topics[topic])
	}
	return gold / believed
}

func TestSyntheticIsHygienic(t *testing.T) {
	retrain, test := generate(t, Synthetic{})
	a := tasks(t, retrain, Clean, TaskOptions{Name: "retrain", File: "a", Ranks: upTo(10), HeldOut: 3})
	b := tasks(t, test, Clean, TaskOptions{Name: "test", File: "b", Ranks: upTo(10), HeldOut: 2})
	both := slices.Concat(a, b)
	equal(t, []int{len(CheckDistractors(both, both)), len(CheckSelection(a, b)), len(CheckSplits(both)), len(CheckPersonas(a, b))},
		[]int{0, 0, 0, 0})
}

func TestGenerateErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Synthetic
		want string
	}{
		{"negative", Synthetic{Test: -1}, "personas, dialogues and turns: fewer than 1"},
		{"turns", Synthetic{Turns: 11}, "11 turns a dialogue, at most 10: there are no more facts"},
		{"one candidate", Synthetic{Candidates: 1}, "1 candidates a turn, want 2 to 100"},
		{"huge", Synthetic{Dialogues: 1 << 40}, "more than 1000000 turns in all"},
		{"used up", Synthetic{Retrain: 1, Test: 1, Dialogues: 2000, Turns: 10, Candidates: 2}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Generate(c.o)
			if c.want != "" {
				wantError(t, err, "making synthetic dialogues: "+c.want)
			} else if err == nil || !strings.Contains(err.Error(), "no new way is left to say") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWriteErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		d    Dialogue
		want string
	}{
		{"no turn", Dialogue{}, "no turn in it"},
		{"tab", Dialogue{Turns: []Turn{{Partner: "a\tb", Self: "c"}}}, `turn 0: "a\tb" has a character that separates`},
		{"bar", Dialogue{Turns: []Turn{{Partner: "a", Self: "b|c", Candidates: []string{"b|c"}}}}, `turn 0: "b|c" has a character that separates`},
		{"missing", Dialogue{Turns: []Turn{{Partner: "a", Self: "b", Candidates: []string{"c"}}}}, `turn 0: reply "b" is not among the 1 candidates`},
		{"empty", Dialogue{Persona: []string{" "}, Turns: []Turn{{Partner: "a", Self: "b"}}}, `sentence after "your persona:": empty text`},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantError(t, Write(&bytes.Buffer{}, []*Dialogue{&c.d}), "writing dialogue 0: "+c.want)
		})
	}
}
