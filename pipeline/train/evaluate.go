package train

import (
	"context"
	"fmt"

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
