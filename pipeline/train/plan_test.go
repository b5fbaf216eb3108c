package train

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/round_robin.json is what the published code's loop gives for these numbers of batches.
func TestRoundRobin(t *testing.T) {
	var cases []struct{ Batches, Order []int }
	readJSON(t, "testdata/round_robin.json", &cases)
	for _, c := range cases {
		if diff := cmp.Diff(c.Order, RoundRobin(c.Batches)); diff != "" {
			t.Errorf("%v: %s", c.Batches, diff)
		}
	}
}

func TestPlanTakesEveryTurnOnceAnEpoch(t *testing.T) {
	turns := []int{5, 4, 1}
	for name, order := range map[string]Order{"task after task": TaskAfterTask, "round robin": RoundRobin} {
		t.Run(name, func(t *testing.T) {
			seen := map[[3]int]int{}
			for _, s := range NewPlan(order, turns, 2, 3, inOrder(turns)) {
				if len(s.Turns) < 1 || len(s.Turns) > 2 {
					t.Errorf("a batch of %d turns", len(s.Turns))
				}
				for _, turn := range s.Turns {
					seen[[3]int{s.Epoch, s.Task, turn}]++
				}
			}
			if len(seen) != 3*(5+4+1) {
				t.Errorf("%d turns seen, want %d", len(seen), 30)
			}
			for at, n := range seen {
				if n != 1 {
					t.Errorf("epoch, task, turn %v is taken %d times", at, n)
				}
			}
		})
	}
}

func inOrder(turns []int) func(task, epoch int) []int {
	return func(task, _ int) []int {
		order := make([]int, turns[task])
		for i := range order {
			order[i] = i
		}
		return order
	}
}

func TestSchedule(t *testing.T) {
	cases := []struct {
		name string
		s    Schedule
		step int
		want float64
	}{
		{"first step of a warm-up", OverRun(1, 0.1, 100), 0, 0},
		{"half of the warm-up", OverRun(1, 0.1, 100), 5, 0.5},
		{"peak", OverRun(1, 0.1, 100), 10, 1},
		{"half of the decay", OverRun(1, 0.1, 100), 55, 0.5},
		{"end", OverRun(1, 0.1, 100), 100, 0},
		{"beyond the end", OverRun(1, 0.1, 100), 110, 0},
		{"no warm-up", Schedule{Peak: 2, Total: 4}, 0, 2},
		{"warm-up shorter than a step", Schedule{Peak: 2, Warmup: 0.6, Total: 10}, 0, 0},
		{"published retraining is not rounded", PublishedRetraining(1, 0.1, 6.67, 3, 2), 1, (40.02 - 1) / (40.02 - 0.6)},
		{"published adaptation is cut", PublishedAdaptation(1, 0.1, 4, 3, 4), 1, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.s.Rate(c.step); !close64(got, c.want, 1e-12) {
				t.Errorf("step %d: rate %v, want %v", c.step, got, c.want)
			}
		})
	}
}

func close64(a, b, tolerance float64) bool { return a-b <= tolerance && b-a <= tolerance }

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
