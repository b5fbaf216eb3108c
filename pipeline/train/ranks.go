package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"metalora/pipeline/fault"
)

// Ranks are the processes that walk one run together. Each has all its weights and turns and runs a share of every batch; what
// adds up over them is the same bits everywhere, so that all move their weights alike. A rank that ends a step otherwise than
// by an error which all have leaves the others waiting: its process has to end them.
type Ranks interface {
	Rank() int // this process's, from 0
	Size() int
	// Sum adds the values of all ranks up, in place.
	Sum(values []float32) error
	// Gather returns every rank's values, by rank.
	Gather(values []float64) ([][]float64, error)
}

// share gives each turn a rank: the longest first, each to the rank with the fewest tokens so far, so that none waits long for
// the others. It hangs on nothing but the turns.
func share(tokens []int, ranks int) []int {
	order, load, owner := make([]int, len(tokens)), make([]int, ranks), make([]int, len(tokens))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return tokens[j] - tokens[i] })
	for _, i := range order {
		least := 0
		for r := range load {
			if load[r] < load[least] {
				least = r
			}
		}
		owner[i] = least
		load[least] += tokens[i]
	}
	return owner
}

// mine tells of each turn whether this process runs it.
func (r *Run) mine(turns []*Turn) []bool {
	mine := make([]bool, len(turns))
	if r.Ranks == nil {
		for i := range mine {
			mine[i] = true
		}
		return mine
	}
	tokens := make([]int, len(turns))
	for i, t := range turns {
		tokens[i] = t.Tokens
	}
	for i, owner := range share(tokens, r.Ranks.Size()) {
		mine[i] = owner == r.Ranks.Rank()
	}
	return mine
}

// together does this process's share of a piece of work and adds up what the ranks' shares came to. Where one of them was asked
// to stop, all do, at the same place. mark is a number that has to be the same on all.
func (r *Run) together(ctx context.Context, mark float64, work func() (float64, error)) (float64, error) {
	part, err := work()
	if r.Ranks == nil || err != nil && ctx.Err() == nil {
		return part, err
	}
	stop := 0.0
	if ctx.Err() != nil {
		stop = 1
	}
	all, err := r.Ranks.Gather([]float64{stop, mark, part})
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for rank, of := range all {
		switch {
		case of[0] != 0 && ctx.Err() != nil:
			return 0, ctx.Err()
		case of[0] != 0:
			return 0, fmt.Errorf("%w: rank %d was asked to", fault.Stopped, rank)
		}
		sum += of[2]
	}
	for rank, of := range all {
		if math.Float64bits(of[1]) != math.Float64bits(mark) {
			return 0, fmt.Errorf("rank %d has other weights than rank %d, although both took the same steps: do they run on unlike machines?", rank, r.Ranks.Rank())
		}
	}
	return sum, nil
}

// mark sums one of the weights that train up, another one each step: ranks that have drifted apart show it before long.
func (r *Run) mark(step int, params []*Param) float64 {
	sum := 0.0
	if r.Ranks == nil || len(params) == 0 {
		return sum
	}
	for _, x := range params[step%len(params)].Value {
		sum += float64(x)
	}
	return sum
}

// sum adds the gradients of all ranks up.
func (r *Run) sum(params []*Param) error {
	gradients := make([][]float32, len(params))
	for i, p := range params {
		gradients[i] = p.gradient()
	}
	return r.add(gradients)
}

// short is how few values are worth a copy: most weights are vectors, and each exchange with the other ranks waits for all.
const short = 1 << 16

// add adds the values of all ranks up, in place. Short lists go together.
func (r *Run) add(lists [][]float32) error {
	if r.Ranks == nil {
		return nil
	}
	var packed []float32
	for _, values := range lists {
		if len(values) < short {
			packed = append(packed, values...)
		} else if err := r.Ranks.Sum(values); err != nil {
			return err
		}
	}
	if err := r.Ranks.Sum(packed); err != nil {
		return err
	}
	for _, values := range lists {
		if len(values) < short {
			packed = packed[copy(values, packed):]
		}
	}
	return nil
}

// Asked tells whether a run ended because this process or another rank was asked to stop.
func Asked(ctx context.Context, err error) bool {
	return errors.Is(err, fault.Stopped) || ctx.Err() != nil && errors.Is(err, ctx.Err())
}
