package eval_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"metalora/eval"
	"metalora/pipeline/rng"
)

var near = cmp.Options{cmpopts.EquateApprox(0, 1e-12), cmpopts.EquateNaNs()}

// permutations calls f with every order of 0 … n-1 (Heap's algorithm).
func permutations(n int, f func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var walk func(k int)
	walk = func(k int) {
		if k <= 1 {
			f(order)
			return
		}
		for i := range k {
			walk(k - 1)
			j := i
			if k%2 == 1 {
				j = 0
			}
			order[j], order[k-1] = order[k-1], order[j]
		}
	}
	walk(n)
}

// bruteForce ranks the gold candidate in every order that breaks ties, and averages.
func bruteForce(s eval.TurnScore) eval.Metrics {
	m := eval.Metrics{Turns: 1, Chance: 1 / float64(len(s.Scores))}
	n := 0.0
	permutations(len(s.Scores), func(order []int) {
		rank := 1
		for i, v := range s.Scores {
			if v > s.Scores[s.Gold] || v == s.Scores[s.Gold] && order[i] < order[s.Gold] {
				rank++
			}
		}
		n++
		m.MRR += 1 / float64(rank)
		if rank == 1 {
			m.Accuracy++
		}
		if rank <= 5 {
			m.Hits5++
		}
	})
	m.Accuracy, m.Hits5, m.MRR = m.Accuracy/n, m.Hits5/n, m.MRR/n
	m.Correct = m.Accuracy
	return m
}

// TestMeasureAgainstPermutations draws scores from few levels, so that most turns have ties.
func TestMeasureAgainstPermutations(t *testing.T) {
	stream := rng.New(1, "ties")
	for range 60 {
		s := eval.TurnScore{Scores: make([]float32, 1+stream.IntN(7))}
		s.Gold = stream.IntN(len(s.Scores))
		for i := range s.Scores {
			s.Scores[i] = float32(stream.IntN(3))
		}
		if diff := cmp.Diff(bruteForce(s), eval.Measure([]eval.TurnScore{s}), near); diff != "" {
			t.Fatalf("%+v (-brute force +got):\n%s", s, diff)
		}
	}
}

// TestConstantScorer gets exactly chance, bit for bit, wherever the gold candidate stands and however many there are.
func TestConstantScorer(t *testing.T) {
	var turns []eval.TurnScore
	hits, reciprocal := 0.0, 0.0
	for c := 1; c <= 25; c++ {
		turns = append(turns, eval.TurnScore{Gold: c - 1, Scores: make([]float32, c)})
		hits += min(5, float64(c)) / float64(c)
		harmonic := 0.0
		for r := 1; r <= c; r++ {
			harmonic += 1 / float64(r)
		}
		reciprocal += harmonic / float64(c)
	}
	m := eval.Measure(turns)
	if m.Accuracy != m.Chance {
		t.Errorf("accuracy %v, chance %v", m.Accuracy, m.Chance)
	}
	want := eval.Metrics{Turns: 25, Accuracy: m.Chance, Hits5: hits / 25, MRR: reciprocal / 25, Chance: m.Chance, Correct: 25 * m.Chance}
	if diff := cmp.Diff(want, m, near); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMeasureOfBrokenTurns(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, c := range map[string]struct {
		turn eval.TurnScore
		want float64 // accuracy
		err  bool
	}{
		"NaN everywhere":         {eval.TurnScore{Scores: []float32{nan, nan}}, 0, true},
		"NaN gold":               {eval.TurnScore{Scores: []float32{nan, 1}}, 0, true},
		"lone NaN":               {eval.TurnScore{Scores: []float32{nan}}, 0, true},
		"NaN beside gold":        {eval.TurnScore{Scores: []float32{1, nan}}, 1, true},
		"gold outside":           {eval.TurnScore{Gold: 2, Scores: []float32{1, 2}}, 0, true},
		"gold negative":          {eval.TurnScore{Gold: -1, Scores: []float32{1, 2}}, 0, true},
		"no candidates":          {eval.TurnScore{}, 0, true},
		"infinite":               {eval.TurnScore{Scores: []float32{inf, 1}}, 1, false},
		"two infinite":           {eval.TurnScore{Scores: []float32{inf, inf}}, 0.5, false},
		"zeros of unequal signs": {eval.TurnScore{Scores: []float32{0, float32(math.Copysign(0, -1))}}, 0.5, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := eval.Measure([]eval.TurnScore{c.turn}); got.Accuracy != c.want || math.IsNaN(got.MRR+got.Chance+got.Hits5) {
				t.Errorf("%+v, want accuracy %v", got, c.want)
			}
			if err := eval.CheckScores([]eval.TurnScore{c.turn}); (err != nil) != c.err {
				t.Errorf("check says %v", err)
			}
		})
	}
	if got := eval.Measure(nil); got != (eval.Metrics{}) {
		t.Errorf("no turns: %+v", got)
	}
}
