package convai2

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// chat is a file of personas × dialogues × 2 turns without candidates; every reply is another text.
func chat(t *testing.T, personas, dialogues int) []*Dialogue {
	t.Helper()
	var b strings.Builder
	for d := range dialogues {
		for p := range personas {
			fmt.Fprintf(&b, "1 your persona: i am %d.\n2 hi\tp%d d%d t0\n3 ho\tp%d d%d t1\n", p, p, d, p, d)
		}
	}
	return parse(t, b.String())
}

func tasks(t *testing.T, ds []*Dialogue, r Rules, o TaskOptions) []Task {
	t.Helper()
	made, err := Tasks(ds, clusters(t, ds, nil, r, MatchExpand, o.HeldOut), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTask(t *testing.T) {
	ds := chat(t, 3, 4)
	got := tasks(t, ds, Clean, TaskOptions{Name: "test", File: "f", Ranks: []int{2}, HeldOut: 1, Distractors: Distractors{Count: 3}})[0]
	equal(t, got.String(), "test-2: cluster 1, 3 + 1 dialogues, 6 + 2 turns")
	equal(t, []any{got.Name, got.File, got.Cluster, got.Rank, got.Drawn, got.Repaired}, []any{"test-2", "f", 1, 2, 8, 0})
	equal(t, got.Personas, [][]string{{"i am 1"}})
	equal(t, got.TrainDialogues, []int{1, 4, 7})
	equal(t, got.HeldOutDialogues, []int{10})
	equal(t, got.HeldOut[1].Context, "hip1 d3 t0ho")
	equal(t, got.HeldOut[1].reply(), "p1 d3 t1")
	equal(t, len(got.HeldOut[1].Candidates), 4)
}

// TestFolds: over all folds every dialogue is held out once, whatever divides whatever; fold 0 holds out the last.
func TestFolds(t *testing.T) {
	for n := 2; n <= 13; n++ {
		order := upTo(n)
		for folds := 2; folds <= n; folds++ {
			var held []int
			for fold := range folds {
				train, out, err := TaskOptions{Fold: fold, Folds: folds}.split(order)
				if err != nil || len(out) < n/folds || len(out) > n/folds+1 {
					t.Fatalf("%d dialogues, fold %d of %d: %v held out, %v", n, fold, folds, out, err)
				}
				if whole := slices.Sorted(slices.Values(slices.Concat(train, out))); !slices.Equal(whole, order) {
					t.Errorf("%d dialogues, fold %d of %d: %v and %v", n, fold, folds, train, out)
				}
				if fold == 0 && out[len(out)-1] != n {
					t.Errorf("fold 0 of %d holds out %v of %d", folds, out, n)
				}
				held = append(held, out...)
			}
			equal(t, slices.Sorted(slices.Values(held)), order)
		}
	}
}

func TestTasksErrors(t *testing.T) {
	ds := chat(t, 3, 4)
	k := clusters(t, ds, nil, Clean, MatchExpand, 1)
	for _, c := range []struct {
		name string
		o    TaskOptions
		want string
	}{
		{"no rank", TaskOptions{}, "no rank is named"},
		{"rank 0", TaskOptions{Ranks: []int{0}}, "rank 0: there are ranks 1 to 3"},
		{"rank too high", TaskOptions{Ranks: []int{4}}, "rank 4: there are ranks 1 to 3"},
		{"twice", TaskOptions{Ranks: []int{1, 1}}, "rank 1 is named twice"},
		{"empty", TaskOptions{Ranks: []int{2}, HeldOut: 4}, "rank 2 (cluster 1): nothing left to train on: 4 dialogues, 4 held out"},
		{"negative", TaskOptions{Ranks: []int{1}, HeldOut: -1}, "dialogues held out or folds: fewer than 0"},
		{"fold", TaskOptions{Ranks: []int{1}, Fold: 1}, "fold 1 of 1: folds count from 0"},
		{"many folds", TaskOptions{Ranks: []int{1}, Folds: 5}, "rank 1 (cluster 0): 4 dialogues are too few for 5 folds"},
		{"mode", TaskOptions{Ranks: []int{1}, Distractors: Distractors{Mode: "any"}}, `distractors "any", want given, repair or redraw`},
		{"count", TaskOptions{Ranks: []int{1}, Distractors: Distractors{Count: -1}}, "-1 distractors"},
		{"few replies", TaskOptions{Ranks: []int{1}, Distractors: Distractors{Count: 23}},
			"dialogue 0, turn 0: only 16 of 23 distractors can be drawn from other dialogues' replies"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.File = "f"
			_, err := Tasks(ds, k, c.o)
			wantError(t, err, "making tasks of f: "+c.want)
		})
	}
}
