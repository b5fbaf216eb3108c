// Package eval turns scored turns into a report that answers a question.
//
// It works upwards. A turn has candidates, one of them the gold reply; its scores give a rank, and the ranks of a set of turns
// give Metrics. One training unit (method, adaptation, seed, task) gives a Record of metrics by epoch. A Study is all records,
// with what a reader must know about them. From a Study come Results (means over tasks with their spread), Comparisons
// (methods paired task by task), Tables, Figures, and a page that leads with the answer.
// The package reads no files of a run and knows no model: whoever has scores can use it.
package eval

import (
	"fmt"
	"math"
)

// TurnScore is how a model scored one turn's candidates. Scores[i] belongs to candidate i, larger is better; Gold is the index
// of the real reply.
type TurnScore struct {
	Dialogue int       `json:"dialogue"`
	Turn     int       `json:"turn"`
	Gold     int       `json:"gold"`
	Scores   []float32 `json:"scores"`
}

// Metrics are means over turns, as parts of one. Accuracy is also known as hits@1.
type Metrics struct {
	Turns    int     `json:"turns"`
	Accuracy float64 `json:"accuracy"`
	Hits5    float64 `json:"hits5"`
	MRR      float64 `json:"mrr"`     // mean reciprocal rank
	Chance   float64 `json:"chance"`  // accuracy of guessing: mean of 1 / candidates
	Correct  float64 `json:"correct"` // turns answered rightly; a tie among n counts 1/n
}

// Measure ranks every turn's gold candidate. Equal scores are a tie, resolved by the expected value over random order, so
// that a constant scorer gets exactly chance wherever the gold candidate stands. A gold candidate whose score is NaN, or that
// does not exist, is not found at any rank. No turns give zero metrics.
func Measure(scores []TurnScore) Metrics {
	m := Metrics{Turns: len(scores)}
	if len(scores) == 0 {
		return m
	}
	for _, s := range scores {
		first, five, reciprocal := s.rank()
		m.Correct += first
		m.Hits5 += five
		m.MRR += reciprocal
		if len(s.Scores) > 0 {
			m.Chance += 1 / float64(len(s.Scores))
		}
	}
	n := float64(len(scores))
	m.Accuracy, m.Hits5, m.MRR, m.Chance = m.Correct/n, m.Hits5/n, m.MRR/n, m.Chance/n
	return m
}

// rank gives the expected values of [rank = 1], [rank <= 5] and 1/rank, where the gold candidate takes each place among its
// equals with the same probability: ranks better+1 … better+equal.
func (s TurnScore) rank() (first, five, reciprocal float64) {
	if s.Gold < 0 || s.Gold >= len(s.Scores) || s.Scores[s.Gold] != s.Scores[s.Gold] {
		return 0, 0, 0
	}
	gold, better, equal := s.Scores[s.Gold], 0, 0
	for _, v := range s.Scores {
		switch {
		case v > gold:
			better++
		case v == gold:
			equal++
		}
	}
	n := float64(equal)
	if better == 0 {
		first = 1 / n
	}
	five = float64(min(max(5-better, 0), equal)) / n
	for r := better + 1; r <= better+equal; r++ {
		reciprocal += 1 / float64(r)
	}
	return first, five, reciprocal / n
}

// CheckScores finds what Measure must not be asked about: a turn without candidates, a gold index outside of them, or a score
// that is NaN. The error names dialogue and turn.
func CheckScores(scores []TurnScore) error {
	for _, s := range scores {
		if s.Gold < 0 || s.Gold >= len(s.Scores) {
			return fmt.Errorf("checking scores: dialogue %d, turn %d: gold candidate %d of %d", s.Dialogue, s.Turn, s.Gold, len(s.Scores))
		}
		for i, v := range s.Scores {
			if math.IsNaN(float64(v)) {
				return fmt.Errorf("checking scores: dialogue %d, turn %d: score of candidate %d is NaN", s.Dialogue, s.Turn, i)
			}
		}
	}
	return nil
}

// Check finds metrics that cannot be: shares outside of 0 and 1, or fewer than no turns. Means round, so there is a little room.
func (m Metrics) Check() error {
	const room = 1e-9
	for _, x := range []struct {
		name        string
		value, most float64
	}{{"accuracy", m.Accuracy, 1}, {"hits5", m.Hits5, 1}, {"mrr", m.MRR, 1}, {"chance", m.Chance, 1}, {"correct", m.Correct, float64(m.Turns)}} {
		if !(x.value >= -room && x.value <= x.most+room) || m.Turns < 0 {
			return fmt.Errorf("%s %v of %d turns", x.name, x.value, m.Turns)
		}
	}
	return nil
}

// pool is the metrics of several disjoint sets of turns together.
func pool(parts []Metrics) Metrics {
	var m Metrics
	for _, p := range parts {
		n := float64(p.Turns)
		m.Turns += p.Turns
		m.Correct += p.Correct
		m.Accuracy += n * p.Accuracy
		m.Hits5 += n * p.Hits5
		m.MRR += n * p.MRR
		m.Chance += n * p.Chance
	}
	if m.Turns > 0 {
		n := float64(m.Turns)
		m.Accuracy, m.Hits5, m.MRR, m.Chance = m.Accuracy/n, m.Hits5/n, m.MRR/n, m.Chance/n
	}
	return m
}
