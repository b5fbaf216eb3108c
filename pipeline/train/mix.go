package train

import (
	"context"

	"metalora/adapters"
	"metalora/tokenize"
)

// Heads lists the weights of a model's head.
func (s Spec) Heads() []string {
	var names []string
	for _, p := range s.Architecture.Parameters() {
		if p.Head {
			names = append(names, p.Name)
		}
	}
	return names
}

// AtOnce is how many adapters an engine takes in one run of a turn of so many tokens: as many as fill a run.
func (e *Engine) AtOnce(tokens int) int { return max(1, e.chunk/max(1, tokens)) }

// ScoreMixed scores a turn with every adapter of a stack, several in a run where the turn is small: [adapter][candidate]. The
// engine must be one of a mixed [Spec]; shared are the weights that all adapters sit on.
func (e *Engine) ScoreMixed(ctx context.Context, turn *Turn, stack adapters.Stacked, shared *Set) ([][]float32, error) {
	scores := make([][]float32, 0, stack.Count)
	step := e.AtOnce(turn.Rows * turn.Length)
	for from := 0; from < stack.Count; from += step {
		to := min(from+step, stack.Count)
		part, err := e.scorePart(ctx, turn, stack, from, to, shared)
		if err != nil {
			return nil, err
		}
		scores = append(scores, part...)
	}
	return scores, nil
}

// scorePart scores a turn with some of a stack's adapters: all in one run, or a single one in as many as the turn takes.
func (e *Engine) scorePart(ctx context.Context, turn *Turn, stack adapters.Stacked, from, to int, shared *Set) ([][]float32, error) {
	own, err := NewSet(stack.Part(from, to), nil)
	if err != nil {
		return nil, err
	}
	defer own.Close()
	count := to - from
	var logits []float32
	if count == 1 {
		logits, err = e.Logits(ctx, turn.Batch, own, shared)
	} else {
		logits, err = e.logits(ctx, repeated(turn.Batch, count), []*Set{own, shared})
	}
	if err != nil {
		return nil, err
	}
	labels := len(logits) / (count * turn.Rows)
	scores := make([][]float32, count)
	for i := range scores {
		scores[i] = make([]float32, turn.Rows)
		for row := range turn.Rows {
			scores[i][row] = logits[(i*turn.Rows+row)*labels+1]
		}
	}
	return scores, nil
}

// repeated is a batch so many times over, one after the other.
func repeated(b tokenize.Batch, times int) tokenize.Batch {
	all := tokenize.Batch{Rows: times * b.Rows, Length: b.Length, Tokens: times * b.Tokens}
	for range times {
		all.IDs = append(all.IDs, b.IDs...)
		all.Mask = append(all.Mask, b.Mask...)
		all.Types = append(all.Types, b.Types...)
	}
	return all
}
