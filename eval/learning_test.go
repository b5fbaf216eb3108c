package eval_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/eval"
)

// sizes is a study with two ranks, a learning curve under one of them, and no adaptation.
func sizes() *eval.Study {
	s := &eval.Study{Meta: []string{"meta"}, Baseline: "sr"}
	for m, method := range []string{"sr", "meta"} {
		for i, adaptation := range []string{"none", "lora-4", "lora-8"} {
			for _, task := range []string{"a", "b"} {
				s.Records = append(s.Records, plain(method, adaptation, task, 0, 1+2*i+m, 20))
			}
		}
		for _, limit := range []int{10, 5} {
			for _, task := range []string{"a", "b"} {
				r := plain(method, "lora-8", task, 0, 1+limit/4+m, 20)
				r.Limit, r.TrainTurns = limit, limit
				s.Records = append(s.Records, r)
			}
		}
	}
	return s
}

func TestLearningCurve(t *testing.T) {
	rows := func(s *eval.Study) []string {
		var rows []string
		for _, table := range s.Summary() {
			for _, row := range table.Rows {
				if table.Key == "turns" {
					rows = append(rows, fmt.Sprint(row[0].Text, " ", row[1].Text, " ", row[2].Text, ": ", row[3].Text))
				}
			}
		}
		return rows
	}
	want := []string{
		"lora-8 sr 0: 5.0", "lora-8 sr 5: 10.0", "lora-8 sr 10: 15.0", "lora-8 sr all (7): 25.0",
		"lora-8 meta 0: 10.0", "lora-8 meta 5: 15.0", "lora-8 meta 10: 20.0", "lora-8 meta all (7): 30.0",
	}
	s := sizes()
	if diff := cmp.Diff(want, rows(s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, r := range s.Results() {
		if r.Cells != 2 || r.Expected != 2 {
			t.Errorf("%s with %s: %d of %d cells: points of a learning curve are among them", r.Method, r.Adaptation, r.Cells, r.Expected)
		}
	}
	s.Open = []eval.Place{{Method: "sr", Adaptation: "lora-8", Task: "b", Limit: 5}}
	if diff := cmp.Diff(slices.Delete(slices.Clone(want), 1, 2), rows(s)); diff != "" {
		t.Errorf("a point that lacks a unit (-want +got):\n%s", diff)
	}
}

func TestFiguresOfSizes(t *testing.T) {
	var names []string
	for _, f := range sizes().Figures() {
		names = append(names, f.Name)
	}
	for _, want := range []string{"ranks", "turns-lora-8", "scatter-lora-8", "scatter-none"} {
		if !slices.Contains(names, want) {
			t.Errorf("no figure %s among %v", want, names)
		}
	}
	if slices.Contains(names, "turns-lora-4") {
		t.Error("a learning curve of one point")
	}
}

// TestTally: the answer begins with how many comparisons of meta-retraining came out which way.
func TestTally(t *testing.T) {
	s := sizes()
	s.Records = nil
	for i, adaptation := range []string{"lora-4", "lora-8"} {
		for task := range 8 {
			name := string(rune('a' + task))
			s.Records = append(s.Records, plain("sr", adaptation, name, 0, 5, 20), plain("meta", adaptation, name, 0, 5+4*i, 20), plain("other", adaptation, name, 0, 20, 20))
		}
	}
	want := "In part: in 1 of 2 comparisons of meta-retraining with sr it was surely better, in 0 surely worse, in 1 not distinguishable."
	if answer := s.Answer(); answer[0] != want || len(answer) != 3 || !strings.HasPrefix(answer[2], "With lora-8, meta was better than sr by 20.0 points") {
		t.Errorf("answer: %q", answer)
	}
}

// TestDisagreements: turns that one gets under every seed and the other under none, tasks in turn.
func TestDisagreements(t *testing.T) {
	s := twoTasks() // turns 0 … right-1 are right; worst seeds: sr 2 and 5, meta 3 and 8; best: sr 4 and 7, meta 5 and 8
	s.Records[0].Turns[9].Scores[1], s.Records[1].Turns[9].Scores[1] = 2, 2
	for i := range s.Records {
		s.Records[i].Epochs = nil
	}
	want := []eval.Example{
		{Gets: "meta", Misses: "sr", Adaptation: "lora", Task: "b", Dialogue: 1, Turn: 7},
		{Gets: "sr", Misses: "meta", Adaptation: "lora", Task: "a", Dialogue: 1, Turn: 9},
	}
	if diff := cmp.Diff(want, s.Disagreements(3)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
