package convai2

import (
	"fmt"
	"slices"
)

// Violation is one place where training would meet what is to be measured later.
type Violation struct {
	Task     string
	Dialogue int // index in the file; -1 where the whole task is meant
	Turn     int // -1 where the whole dialogue is meant
	What     string
}

func (v Violation) String() string {
	switch {
	case v.Dialogue < 0:
		return fmt.Sprintf("task %s: %s", v.Task, v.What)
	case v.Turn < 0:
		return fmt.Sprintf("task %s, dialogue %d: %s", v.Task, v.Dialogue, v.What)
	}
	return fmt.Sprintf("task %s, dialogue %d, turn %d: %s", v.Task, v.Dialogue, v.Turn, v.What)
}

// CheckDistractors finds the training turns of the tasks in which a real reply of the held-out turns of the others is scored
// as a distractor, one violation a candidate. The same tasks may stand on both sides.
func CheckDistractors(training, heldOut []Task) []Violation {
	replies := HeldOutReplies(heldOut)
	var found []Violation
	for _, t := range training {
		found = append(found, scored(t.Name, t.Train, replies)...)
	}
	return found
}

// CheckSelection does the same for the held-out turns of retraining tasks, which train nothing but choose the checkpoint.
// The test tasks must be others.
func CheckSelection(retrain, test []Task) []Violation {
	replies := HeldOutReplies(test)
	var found []Violation
	for _, t := range retrain {
		found = append(found, scored(t.Name, t.HeldOut, replies)...)
	}
	return found
}

func scored(task string, samples []Sample, replies map[string]bool) []Violation {
	var found []Violation
	for _, s := range samples {
		for i, c := range s.Candidates {
			if replies[c] && c != s.reply() {
				what := fmt.Sprintf("distractor %d is the held-out reply %s", i, quote(c))
				found = append(found, Violation{task, s.Dialogue, s.Turn, what})
			}
		}
	}
	return found
}

// CheckSplits finds dialogues that one of the tasks trains on and one of them holds out.
func CheckSplits(tasks []Task) []Violation {
	type place struct {
		file     string
		dialogue int
	}
	heldBy := map[place]string{}
	for _, t := range tasks {
		for _, d := range t.HeldOutDialogues {
			heldBy[place{t.File, d}] = t.Name
		}
	}
	var found []Violation
	for _, t := range tasks {
		for _, d := range t.TrainDialogues {
			if other, ok := heldBy[place{t.File, d}]; ok {
				found = append(found, Violation{t.Name, d, -1, "trains on a dialogue that task " + other + " holds out"})
			}
		}
	}
	return found
}

// CheckPersonas finds retraining tasks whose persona is a test task's: they share all persona sentences but one of the
// shorter set, after normalisation, and at least MinSubset, or the sets are equal. One sentence may differ because
// the data leaves one of five out of many entries.
func CheckPersonas(retrain, test []Task) []Violation {
	var found []Violation
	for _, r := range retrain {
		for _, t := range test {
			if samePersona(r, t) {
				found = append(found, Violation{r.Name, -1, -1, "has the persona of test task " + t.Name})
			}
		}
	}
	return found
}

func samePersona(a, b Task) bool {
	for _, x := range a.Personas {
		for _, y := range b.Personas {
			if len(x) > 0 && slices.Equal(x, y) {
				return true
			}
			common := 0
			for _, s := range x {
				if _, ok := slices.BinarySearch(y, s); ok {
					common++
				}
			}
			if common >= max(MinSubset, min(len(x), len(y))-1) {
				return true
			}
		}
	}
	return false
}
