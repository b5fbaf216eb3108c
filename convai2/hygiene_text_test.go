package convai2

import (
	"slices"
	"testing"
)

// TestChecksOfText: leaks that only the texts give away, in made-up tasks.
func TestChecksOfText(t *testing.T) {
	turn := func(dialogue, turn int, context string, gold int, candidates ...string) Sample {
		return Sample{Dialogue: dialogue, Turn: turn, Context: context, Candidates: candidates, Gold: gold}
	}
	a := Task{Name: "a", Train: []Sample{turn(1, 0, "hi", 0, "yo", "no"), turn(1, 1, "hi yo how", 1, "no", "well"), turn(1, 2, "hi yo how well and", 0, "so", "no")}}
	same := Task{Name: "same", Train: []Sample{turn(7, 2, "other", 0, "thing", "no")}, HeldOut: []Sample{turn(9, 0, "hi", 0, "yo", "no"), turn(9, 1, "hi yo how", 0, "well", "x")}}
	flipped := Task{Name: "flipped", HeldOut: []Sample{turn(4, 2, Silence+"hi|yo|how|well", 1, "no", "and")}}
	double := Task{Name: "double", HeldOut: []Sample{turn(5, 3, "c", 2, "r", "x", "r")}}

	equal(t, CheckTurns([]Task{a, same}), []Violation{{"a", 1, 1, "trains on a turn that task same holds out"}})
	equal(t, CheckTurns([]Task{a, flipped}), nil)
	equal(t, CheckConversations([]Task{a}, []Task{flipped}), []Violation{{"a", 1, -1, "is a conversation of test task flipped"}})
	equal(t, CheckConversations([]Task{flipped}, []Task{a}), []Violation{{"flipped", 4, -1, "is a conversation of test task a"}})
	equal(t, CheckConversations([]Task{a}, []Task{same}), nil)
	equal(t, CheckReplies([]Task{a, double}), []Violation{{"double", 5, 3, `a distractor is the real reply "r"`}})
}

// TestConversationsOfTheTrainPart: the file has every conversation from both sides, dialogue i and i + 2355, so that any choice of
// two groups of personas shares some; the validation file has none twice, and shares none with it.
func TestConversationsOfTheTrainPart(t *testing.T) {
	ds := readShared(t, "train_part_self_original_no_cands.txt")
	k := clusters(t, ds, sharedMap(t, "train_persona_map.json"), Clean, MatchExpand, 3)
	many := mustTasks(t, ds, k, TaskOptions{Name: "many", File: "train", Ranks: upTo(200), HeldOut: 1})
	others := mustTasks(t, ds, k, TaskOptions{Name: "others", File: "train", Ranks: upTo(400)[200:], HeldOut: 1})
	shared := CheckConversations(many, others)
	of := map[int]bool{}
	for _, task := range others {
		for _, i := range slices.Concat(task.TrainDialogues, task.HeldOutDialogues) {
			of[i] = true
		}
	}
	want := 0
	for _, task := range many {
		for _, i := range slices.Concat(task.TrainDialogues, task.HeldOutDialogues) {
			if of[(i+2355)%4710] {
				want++
			}
		}
	}
	if len(shared) != want || want < 50 {
		t.Errorf("%d conversations from the other side, want %d, those half the file away", len(shared), want)
	}
	valid := readShared(t, "valid_self_original.txt")
	vk := clusters(t, valid, sharedMap(t, "valid_persona_map.json"), Clean, MatchExpand, 2)
	test := mustTasks(t, valid, vk, TaskOptions{Name: "test", File: "valid", Ranks: upTo(10), HeldOut: 2})
	rest := mustTasks(t, valid, vk, TaskOptions{Name: "rest", File: "valid", Ranks: upTo(40)[10:], HeldOut: 2})
	equal(t, []int{len(CheckConversations(many, test)), len(CheckConversations(rest, test)), len(CheckTurns(slices.Concat(many, rest, test))),
		len(CheckReplies(slices.Concat(many, rest, test)))}, []int{0, 0, 0, 0})
}

// TestRepairOfDoubleReplies: a file may list the real reply twice; under clean rules it is a distractor no more.
func TestRepairOfDoubleReplies(t *testing.T) {
	ds := parse(t, "1 your persona: a.\n2 x\tr\t\tr|d|r\n1 your persona: a.\n2 x\th\t\te|f|h\n1 your persona: b.\n2 x\tu\n1 your persona: c.\n2 x\tv\n")
	o := TaskOptions{Name: "t", Ranks: []int{1}, HeldOut: 1}
	given := tasks(t, ds, Published, o)
	equal(t, CheckReplies(given), []Violation{{"t-1", 0, 0, `a distractor is the real reply "r"`}})
	got := tasks(t, ds, Clean, o)
	equal(t, len(CheckReplies(got)), 0)
	equal(t, []int{got[0].Repaired, got[0].Train[0].Gold}, []int{1, 2})
	equal(t, got[0].Train[0].Candidates[1:], []string{"d", "r"})
}
