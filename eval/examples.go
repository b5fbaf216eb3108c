package eval

import "slices"

// Disagreements finds held-out turns that one method of a leading comparison gets under every seed and the other under none:
// up to most of each direction for each comparison, one task after another, so that they are not all of one persona.
func (s *Study) Disagreements(most int) []Example {
	cells := s.cells()
	var all []Example
	for _, c := range leading(s.asked(s.Comparisons())) {
		of := func(method string) []cell {
			return where(cells, func(x cell) bool { return x.Method == method && x.Adaptation == c.Adaptation })
		}
		a, b := answers(of(c.A)), answers(of(c.B))
		for _, e := range []Example{{Gets: c.A, Misses: c.B}, {Gets: c.B, Misses: c.A}} {
			e.Adaptation = c.Adaptation
			if e.Gets == c.A {
				all = append(all, a.got(b, e, c.Tasks, most)...)
			} else {
				all = append(all, b.got(a, e, c.Tasks, most)...)
			}
		}
	}
	return all
}

// askedTurn identifies a turn of a task; folds hold different dialogues out.
type askedTurn struct {
	task                 string
	fold, dialogue, turn int
}

// answered is how a method did on a turn over all seeds.
type answered struct {
	right, seeds int
	chosen       int // under the first seed
}

type answerSheet struct {
	turns []askedTurn // in the order of first occurrence
	of    map[askedTurn]answered
}

func answers(cells []cell) answerSheet {
	sheet := answerSheet{of: map[askedTurn]answered{}}
	for _, c := range cells {
		for _, r := range c.Records {
			for _, t := range r.Turns {
				key := askedTurn{c.Task, r.Fold, t.Dialogue, t.Turn}
				a, known := sheet.of[key]
				if !known {
					sheet.turns = append(sheet.turns, key)
					a.chosen = t.best()
				}
				if first, _, _ := t.rank(); first == 1 {
					a.right++
				}
				a.seeds++
				sheet.of[key] = a
			}
		}
	}
	return sheet
}

// best is the candidate of highest score, the first of equals.
func (s TurnScore) best() int {
	best := 0
	for i, v := range s.Scores {
		if v > s.Scores[best] {
			best = i
		}
	}
	return best
}

// got lists turns that this sheet has right under every seed and the other under none, task by task in turn.
func (a answerSheet) got(b answerSheet, like Example, tasks []string, most int) []Example {
	byTask := map[string][]Example{}
	for _, key := range a.turns {
		mine, other := a.of[key], b.of[key]
		if mine.right < mine.seeds || other.seeds == 0 || other.right > 0 {
			continue
		}
		e := like
		e.Task, e.Fold, e.Dialogue, e.Turn, e.Chosen = key.task, key.fold, key.dialogue, key.turn, other.chosen
		byTask[key.task] = append(byTask[key.task], e)
	}
	var found []Example
	for len(found) < most && slices.ContainsFunc(tasks, func(t string) bool { return len(byTask[t]) > 0 }) {
		for _, task := range tasks {
			if rest := byTask[task]; len(rest) > 0 && len(found) < most {
				found, byTask[task] = append(found, rest[0]), rest[1:]
			}
		}
	}
	return found
}

// exampleTable shows the turns; without the dialogues at hand it has their places alone.
func (s *Study) exampleTable() Table {
	t := Table{Key: "examples", Title: "Turns that one method gets under every seed and the other under none",
		Columns: columns("adaptation|adaptation", "gets|gets it", "misses|misses it", "task|task", "dialogue|dialogue", "turn|turn",
			"context|said before", "reply|real reply", "instead|chosen instead"),
		Notes: []string{"For each adaptation the baseline and the method that the answer names, both directions, tasks in turn. Chosen instead: under the first seed."}}
	for _, e := range s.Examples {
		t.Rows = append(t.Rows, []Cell{Words(e.Adaptation), Words(e.Gets), Words(e.Misses), Words(e.Task), Number(float64(e.Dialogue), 0),
			Number(float64(e.Turn), 0), Words(e.Context), Words(e.Reply), Words(e.Instead)})
	}
	return t
}
