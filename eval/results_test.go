package eval_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/eval"
	"metalora/eval/stats"
)

// plain is a record of that many right turns of n, ten candidates each, two dialogues.
func plain(method, adaptation, task string, seed, right, n int) eval.Record {
	r := eval.Record{Unit: method + task, Method: method, Adaptation: adaptation, Task: task, Seed: seed, Parameters: 10, TrainTurns: 7, Seconds: 2}
	for i := range n {
		turn := eval.TurnScore{Dialogue: i % 2, Turn: i, Gold: 1, Scores: make([]float32, 10)}
		turn.Scores[0] = 1
		if i < right {
			turn.Scores[1] = 2
		}
		r.Turns = append(r.Turns, turn)
	}
	better := eval.Metrics{Turns: n, Accuracy: float64(right+1) / float64(n)}
	r.Epochs = []eval.Epoch{{Epoch: 1, HeldOut: better}, {Epoch: 2, HeldOut: eval.Measure(r.Turns)}}
	return r
}

func twoTasks() *eval.Study {
	return &eval.Study{Records: []eval.Record{
		plain("sr", "lora", "a", 0, 2, 10), plain("sr", "lora", "a", 1, 4, 10), plain("sr", "lora", "b", 0, 5, 10), plain("sr", "lora", "b", 1, 7, 10),
		plain("meta", "lora", "a", 0, 3, 10), plain("meta", "lora", "a", 1, 5, 10), plain("meta", "lora", "b", 0, 8, 10), plain("meta", "lora", "b", 1, 8, 10),
	}}
}

func TestResults(t *testing.T) {
	s := twoTasks()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	got := s.Results()[0]
	got.Dialogues = stats.Interval{}
	want := eval.Result{
		Method: "sr", Adaptation: "lora", Tasks: []string{"a", "b"}, Seeds: []int{0, 1}, Cells: 4, Expected: 4,
		Accuracy:  0.45,                                                // (0.3 + 0.6) / 2
		TaskError: 0.15,                                                // tasks 0.3 and 0.6: sd 0.2121, / sqrt 2
		SeedError: 0.1,                                                 // seeds 0.35 and 0.55
		Interval:  stats.Interval{Low: 0, High: 1},                     // 0.45 ± 12.7 * 0.15, cut
		Hits5:     0.45 + 0.55*4/9, MRR: 0.45 + 0.55*(7381.0/2520-1)/9, // a wrong turn ties with 8 others for ranks 2 to 10
		Chance: 0.1, Best: 0.55, BestMedian: 0.55,
		AboveChance:  stats.BinomialTail(7, 20, 0.1), // seed 0 is the worse
		TaskAccuracy: []float64{0.3, 0.6}, TaskSpread: []float64{math.Sqrt(0.02), math.Sqrt(0.02)}, SeedAccuracy: []float64{0.35, 0.55},
		TaskTurns: []int{10, 10}, TaskTraining: []int{7, 7}, Turns: 20, Parameters: [2]int{10, 10}, Epochs: [2]int{2, 2}, Seconds: 8,
	}
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !got.Complete() {
		t.Error("all cells are there, yet it is not complete")
	}
}

// TestFolds: records of one cell pool their turns, unequal in number, rather than average their shares.
func TestFolds(t *testing.T) {
	first, second := plain("sr", "lora", "a", 0, 9, 10), plain("sr", "lora", "a", 0, 0, 30)
	for i := range second.Turns {
		second.Turns[i].Dialogue += 2
	}
	s := &eval.Study{Records: []eval.Record{first, second}}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	r := s.Results()[0]
	if r.Accuracy != 9.0/40 || r.Turns != 40 || r.Cells != 1 {
		t.Errorf("accuracy %v of %d turns in %d cells, want 9/40 of 40 in 1", r.Accuracy, r.Turns, r.Cells)
	}
	s.Records[1].Turns[0] = first.Turns[0]
	s.Records[1].Epochs = nil
	if err := s.Check(); err == nil || !strings.Contains(err.Error(), "dialogue 0, turn 0") {
		t.Errorf("a turn of two folds: %v", err)
	}
}

// TestPartial: a method that lacks a unit has no mean and is in no comparison; a task that has all its seeds keeps its own.
func TestPartial(t *testing.T) {
	for name, spoil := range map[string]func(*eval.Study){
		"a unit": func(s *eval.Study) { s.Records = s.Records[:7] }, // meta lacks task b, seed 1
		"a fold": func(s *eval.Study) { s.Open = []eval.Place{{Method: "meta", Adaptation: "lora", Task: "b", Seed: 1}} },
	} {
		t.Run(name, func(t *testing.T) {
			s := twoTasks()
			s.Missing = []string{"meta-b-1"}
			spoil(s)
			sr, meta := s.Results()[0], s.Results()[1]
			if meta.Complete() || meta.Cells != 3 || meta.Expected != 4 || !sr.Complete() || sr.Accuracy != 0.45 {
				t.Errorf("complete %v with %d of %d; sr %v, %v", meta.Complete(), meta.Cells, meta.Expected, sr.Complete(), sr.Accuracy)
			}
			if !math.IsNaN(meta.Accuracy) || !math.IsNaN(meta.Interval.Low) || !math.IsNaN(meta.Best) || meta.TaskAccuracy[0] != 0.4 || !math.IsNaN(meta.TaskAccuracy[1]) {
				t.Errorf("means of what is there: %v, %v, best %v, tasks %v", meta.Accuracy, meta.Interval, meta.Best, meta.TaskAccuracy)
			}
			if c := s.Comparisons(); len(c) != 0 {
				t.Errorf("compared all the same: %+v", c)
			}
			if answer := s.Answer()[0]; !strings.HasPrefix(answer, "Preliminary, as 1 unit is not done: sr with lora") || !strings.HasSuffix(answer, "no second method has every task and seed yet.") {
				t.Errorf("answer: %s", answer)
			}
			for _, f := range s.Figures() {
				if f.Name == "scatter-lora" || f.Name == "differences" {
					t.Errorf("figure %s", f.Name)
				}
			}
		})
	}
}

// TestComparisons: two methods under the baseline's correction, the pair without it exploratory, and a half-done fold left out.
func TestComparisons(t *testing.T) {
	s := twoTasks()
	for _, r := range s.Records[:4] {
		r.Method = "third"
		s.Records = append(s.Records, r)
	}
	s.Baseline = "meta"
	got := s.Comparisons()
	var names []string
	for _, c := range got {
		names = append(names, c.A+" - "+c.B)
		if planned := c.B == "meta"; c.Planned != planned {
			t.Errorf("%s - %s: planned is %v", c.A, c.B, c.Planned)
		}
	}
	if diff := cmp.Diff([]string{"sr - meta", "third - meta", "third - sr"}, names); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if got[0].SignFlip != 0.5 || got[0].Adjusted != 1 || got[2].Adjusted != got[2].SignFlip {
		t.Errorf("p %v, adjusted %v; exploratory %v, %v", got[0].SignFlip, got[0].Adjusted, got[2].SignFlip, got[2].Adjusted)
	}
	s = twoTasks()
	s.Records[4].Turns = s.Records[4].Turns[:8]
	s.Records[4].Epochs = nil
	if c := s.Comparisons(); len(c) != 0 {
		t.Errorf("seed 0 of task a has unequal turns, yet is compared: %+v", c)
	}
}

func TestVerdicts(t *testing.T) {
	study := func(gain int) *eval.Study {
		s := &eval.Study{}
		for task := range 8 {
			s.Records = append(s.Records, plain("sr", "lora", string(rune('a'+task)), 0, 5, 20), plain("meta", "lora", string(rune('a'+task)), 0, 5+gain, 20))
		}
		return s
	}
	for gain, want := range map[int]string{
		4:  "With lora, meta was better than sr by 20.0 points: 45.0 % against 25.0 %, 95 % CI +20.0 to +20.0, over dialogues +20.0 to +20.0, p = 0.008, Wilcoxon p = 0.008; 8 tasks, 1 seed.",
		-4: "With lora, meta was worse than sr by 20.0 points: 5.0 % against 25.0 %, 95 % CI -20.0 to -20.0, over dialogues -20.0 to -20.0, p = 0.008, Wilcoxon p = 0.008; 8 tasks, 1 seed.",
		0:  "With lora, meta was not distinguishable from sr (0.0 points): 25.0 % against 25.0 %, 95 % CI 0.0 to 0.0, over dialogues 0.0 to 0.0, p = 1.000, Wilcoxon p = 1.000; 8 tasks, 1 seed.",
	} {
		if diff := cmp.Diff([]string{want}, study(gain).Answer()); diff != "" {
			t.Errorf("gain %d (-want +got):\n%s", gain, diff)
		}
	}
	alone := &eval.Study{Records: []eval.Record{plain("sr", "lora", "a", 0, 5, 10)}}
	want := "sr with lora chose the real reply in 50.0 % of held-out turns (guessing: 10.0 %; 1 task, 1 seed); there is no second method to compare it with."
	if diff := cmp.Diff([]string{want}, alone.Answer()); diff != "" {
		t.Errorf("one method (-want +got):\n%s", diff)
	}
}

func TestCautions(t *testing.T) {
	s := twoTasks()
	s.Records = s.Records[:7]
	s.Records[0].Parameters = 11
	s.Records[1].Epochs = append(s.Records[1].Epochs, eval.Epoch{Epoch: 3, HeldOut: s.Records[1].Epochs[1].HeldOut})
	for _, task := range []string{"a", "b"} {
		s.Records = append(s.Records, plain("sr", "none", task, 0, 1, 10), plain("sr", "none", task, 1, 1, 10))
	}
	text := strings.Join(s.Cautions(), "\n")
	for _, want := range []string{
		"meta with lora has 3 of 4 pairs", "sr with none is not distinguishable from guessing (p = 0.608)", "different numbers of epochs",
		"different numbers of parameters", "With 2 tasks the paired test cannot give a p below 0.500",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no caution %q in:\n%s", want, text)
		}
	}
}

func TestCheckNamesTheUnit(t *testing.T) {
	for name, spoil := range map[string]func(*eval.Study){
		"checking unit sra: neither epochs": func(s *eval.Study) { s.Records[0].Epochs, s.Records[0].Turns = nil, nil },
		"score of candidate 3 is NaN":       func(s *eval.Study) { s.Records[0].Turns[0].Scores[3] = float32(math.NaN()) },
		"but its scores give":               func(s *eval.Study) { s.Records[0].Epochs[1].HeldOut.Accuracy = 0.9 },
		"epoch 1: accuracy NaN":             func(s *eval.Study) { s.Records[0].Epochs[0].HeldOut.Accuracy = math.NaN() },
		"was scored by unit":                func(s *eval.Study) { s.Records[1].Seed = 0 },
		"2 steps, 0 losses":                 func(s *eval.Study) { s.Curves = []eval.Curve{{Steps: []int{1, 2}}} },
		`baseline "nobody" has no records`:  func(s *eval.Study) { s.Baseline = "nobody" },
	} {
		s := twoTasks()
		spoil(s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error with %q, got %v", name, err)
		}
		if err := s.WriteReport(t.TempDir()); err == nil {
			t.Errorf("%s: a report was written", name)
		}
	}
}
