package train

import (
	"context"
	"fmt"
	"math"

	"metalora/eval"
)

// Evaluate scores every candidate of the turns.
func (e *Engine) Evaluate(ctx context.Context, turns []Turn, sets ...*Set) ([]eval.TurnScore, error) {
	scores := make([]eval.TurnScore, len(turns))
	for i := range turns {
		var err error
		if scores[i], err = e.evaluate(ctx, &turns[i], sets); err != nil {
			return nil, err
		}
	}
	return scores, nil
}

func (e *Engine) evaluate(ctx context.Context, turn *Turn, sets []*Set) (eval.TurnScore, error) {
	s, err := e.Score(ctx, turn, sets...)
	if err != nil {
		return eval.TurnScore{}, fmt.Errorf("scoring turn %d of dialogue %d: %w", turn.Turn, turn.Dialogue, err)
	}
	return turn.scored(s), nil
}

func (t *Turn) scored(scores []float32) eval.TurnScore {
	return eval.TurnScore{Dialogue: t.Dialogue, Turn: t.Turn, Gold: t.Gold, Scores: scores}
}

// HeldOut scores every task's held-out turns with the weights that it sees, by task. The ranks share the turns.
func (r *Run) HeldOut(ctx context.Context, scorer *Engine) ([][]eval.TurnScore, error) {
	var turns []*Turn
	var tasks []int
	for t := range r.Tasks {
		for i := range r.Tasks[t].HeldOut {
			turns, tasks = append(turns, &r.Tasks[t].HeldOut[i]), append(tasks, t)
		}
	}
	scores := make([]eval.TurnScore, len(turns))
	_, err := r.together(ctx, 0, func() (_ float64, err error) {
		for i, mine := range r.mine(turns) {
			if !mine {
				scores[i] = turns[i].scored(make([]float32, turns[i].Rows)) // zeros, to which the rank that scores it adds
			} else if scores[i], err = scorer.evaluate(ctx, turns[i], r.Sets(tasks[i])); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	if err != nil {
		return nil, err
	}
	byTask, all := make([][]eval.TurnScore, len(r.Tasks)), make([][]float32, len(turns))
	for i, s := range scores {
		byTask[tasks[i]], all[i] = append(byTask[tasks[i]], s), s.Scores
	}
	return byTask, r.add(all)
}

// CheckOrder is [Engine.CheckOrder] for the first held-out turn, if there is one.
func (r *Run) CheckOrder(ctx context.Context, scorer *Engine) error {
	_, err := r.together(ctx, 0, func() (float64, error) {
		if first := r.Tasks[0].HeldOut; len(first) > 0 {
			return 0, scorer.CheckOrder(ctx, &first[0], r.Sets(0)...)
		}
		return 0, nil
	})
	return err
}

// orderSlack is how far scores of the same candidates in another order may lie apart: float32 sums in another order.
const orderSlack = 1e-3

// CheckOrder scores a turn with its candidates in reverse and refuses scores that hang on a candidate's place: the real
// reply stands last in the official files, and no model may profit from that.
func (e *Engine) CheckOrder(ctx context.Context, turn *Turn, sets ...*Set) error {
	scores, err := e.Score(ctx, turn, sets...)
	if err != nil {
		return err
	}
	back, err := e.Score(ctx, turn.reversed(), sets...)
	if err != nil {
		return err
	}
	for i, s := range scores {
		other := back[len(back)-1-i]
		if d := math.Abs(float64(s - other)); d > orderSlack*(1+math.Abs(float64(s))) {
			return fmt.Errorf("dialogue %d, turn %d: candidate %d scores %v in its place and %v with the candidates in reverse", turn.Dialogue, turn.Turn, i, s, other)
		}
	}
	return nil
}

// reversed is the turn with its candidates in reverse.
func (t *Turn) reversed() *Turn {
	r := *t
	r.Gold = t.Rows - 1 - t.Gold
	for _, rows := range []*[]int64{&r.IDs, &r.Mask, &r.Types} {
		var back []int64
		for i := len(*rows); i >= t.Length && t.Length > 0; i -= t.Length {
			back = append(back, (*rows)[i-t.Length:i]...)
		}
		*rows = back
	}
	return &r
}
