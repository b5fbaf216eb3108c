package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
)

// batch is turns whose gradients add up, the step they belong to, and the name of their stream of dropout masks.
type batch struct {
	step   int
	at     Step
	turns  []int
	stream []any
	left   []int // places in turns that are left out
}

// stays lists the places of the turns that are not left out.
func (b batch) stays() []int {
	var places []int
	for n := range b.turns {
		if !slices.Contains(b.left, n) {
			places = append(places, n)
		}
	}
	return places
}

// gradients adds the gradients of a batch up and returns its loss and the gradients' norm. A turn whose loss or gradient is
// not finite is an error that names it, or with [Run.Skip] left out: the others then make the batch, with the masks
// that they have anyway. Where no turn is left, or none alone is the reason, it is an error in any case.
func (r *Run) gradients(ctx context.Context, e *Engine, b batch, params []*Param, result *Result) (loss, norm float64, err error) {
	loss, norm, culprit, err := r.accumulate(ctx, e, b, params)
	if err != nil {
		return 0, 0, err
	}
	if culprit != "" {
		broken, err := r.suspects(ctx, e, b, params)
		if err != nil {
			return 0, 0, err
		}
		if !r.Skip || len(broken) == 0 || len(broken) == len(b.turns) {
			return 0, 0, r.broken(b, culprit, broken)
		}
		for _, s := range broken {
			b.left = append(b.left, s.place)
		}
		result.Skipped += len(broken)
		forget(params)
		if loss, norm, culprit, err = r.accumulate(ctx, e, b, params); err != nil {
			return 0, 0, err
		}
		if culprit != "" {
			return 0, 0, r.broken(b, culprit, nil)
		}
	}
	for _, n := range b.stays() {
		result.Tokens += r.Tasks[b.at.Task].Train[b.turns[n]].Tokens
	}
	return loss, norm, nil
}

// accumulate adds a batch's gradients to what the accumulators hold: zeros, unless something broke. culprit says what of the sums is not finite, "" if all is.
func (r *Run) accumulate(ctx context.Context, e *Engine, b batch, params []*Param) (loss, norm float64, culprit string, err error) {
	loss, err = r.together(ctx, r.mark(b.step, params), func() (float64, error) { return r.share(ctx, e, b) })
	if err != nil {
		return 0, 0, "", err
	}
	if notFinite(loss) {
		return loss, 0, "the loss", nil
	}
	if err := r.sum(params); err != nil {
		return 0, 0, "", err
	}
	norm, weight := gradientNorm(params)
	if weight != "" {
		culprit = "the gradient of " + weight
	}
	return loss, norm, culprit, nil
}

// share runs this process's turns of a batch and returns their part of its loss.
func (r *Run) share(ctx context.Context, e *Engine, b batch) (loss float64, err error) {
	stays, pairs := b.stays(), 0
	turns := make([]*Turn, len(stays))
	for i, n := range stays {
		turns[i] = &r.Tasks[b.at.Task].Train[b.turns[n]]
		pairs += turns[i].Rows
	}
	for i, mine := range r.mine(turns) {
		if !mine {
			continue
		}
		stream := rng.New(r.Seed, append(slices.Clone(b.stream), stays[i])...)
		part, err := e.Accumulate(ctx, turns[i], pairs, stream, r.Sets(b.at.Task)...)
		if err != nil {
			return 0, err
		}
		loss += part
	}
	return loss, nil
}

// forget sets gradients back to zero, as AdamW does where nothing breaks.
func forget(params []*Param) {
	for _, p := range params {
		clear(p.grad)
	}
}

// suspect is a turn that breaks when it is run alone.
type suspect struct {
	place   int // in the batch
	culprit string
}

// suspects runs each turn of a batch alone. No weight has moved since, so that each does what it did.
func (r *Run) suspects(ctx context.Context, e *Engine, b batch, params []*Param) ([]suspect, error) {
	var broken []suspect
	for n := range b.turns {
		alone := b
		for other := range b.turns {
			if other != n {
				alone.left = append(alone.left[:len(alone.left):len(alone.left)], other)
			}
		}
		forget(params)
		_, _, culprit, err := r.accumulate(ctx, e, alone, params)
		if err != nil {
			return nil, err
		}
		if culprit != "" {
			broken = append(broken, suspect{n, culprit})
		}
	}
	return broken, nil
}

// broken explains numbers that are not finite: which, at which step, in which turns, and the first weight that is not.
func (r *Run) broken(b batch, culprit string, turns []suspect) error {
	task, where := &r.Tasks[b.at.Task], ""
	switch len(turns) {
	case 0:
		where = "the sum over the batch alone breaks"
	case len(b.turns):
		where = "every turn of the batch breaks, the first of them "
	}
	if len(turns) > 0 {
		turn := &task.Train[b.turns[turns[0].place]]
		where += fmt.Sprintf("dialogue %d, turn %d", turn.Dialogue, turn.Turn)
		culprit = turns[0].culprit
	}
	message := fmt.Sprintf("step %d (epoch %d, task %s, %s): %s is not finite", b.step, b.at.Epoch+1, task.Name, where, culprit)
	if weight := r.brokenWeight(b.at.Task); weight != "" {
		return fault.Numbers(fmt.Errorf("%s: weight %s", message, weight))
	}
	if !strings.HasPrefix(culprit, "the gradient") {
		message += " although every weight is"
	}
	return fault.Numbers(fmt.Errorf("%s; a lower learning rate may help", message))
}

// brokenWeight is the first weight of a task that is not finite and what it has, "" if all are.
func (r *Run) brokenWeight(task int) string {
	for _, s := range r.Sets(task) {
		for _, name := range s.Names() {
			if at := firstNotFinite(s.params[name].Value); at >= 0 {
				return fmt.Sprintf("%s has %v at %d", name, s.params[name].Value[at], at)
			}
		}
	}
	return ""
}

// Finite tells whether every weight that moves is, in all tasks.
func (r *Run) Finite() bool {
	for _, p := range r.moving() {
		if firstNotFinite(p.Value) >= 0 {
			return false
		}
	}
	return true
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

func firstNotFinite(values []float32) int {
	for i, x := range values {
		if x-x != 0 {
			return i
		}
	}
	return -1
}
