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
		turn := &turns[i]
		s, err := e.Score(ctx, turn, sets...)
		if err != nil {
			return nil, fmt.Errorf("scoring turn %d of dialogue %d: %w", turn.Turn, turn.Dialogue, err)
		}
		scores[i] = eval.TurnScore{Dialogue: turn.Dialogue, Turn: turn.Turn, Gold: turn.Gold, Scores: s}
	}
	return scores, nil
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
