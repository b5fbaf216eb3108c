package train

import (
	"context"
)

// InnerLoop is the loop inside each step of a method with two (see [Inner]).
type InnerLoop struct {
	Outer   Outer
	Engine  *Engine // gives the gradients of Trained
	Trained []string
	AdamW   AdamW // as published with the decay of the outer one, which Displacement makes the outer optimiser amplify
	Rate    float64

	starts map[*Param][]float32 // Query: where what adapts begins each time
}

// InnerStep is what one step of an inner loop was.
type InnerStep struct {
	Loss     float64 `json:"loss"`      // mean over the batch's pairs, before the step
	GradNorm float64 `json:"grad_norm"` // likewise
}

// inner runs the inner loop of a step. Afterwards the outer weights have their gradient under Displacement, and none yet
// under Query.
func (r *Run) inner(ctx context.Context, step Step, outer []*Param, result *Result) error {
	moving := r.params(r.Inner.Trained, r.Sets(step.Task))
	if r.Inner.Outer == Query {
		r.Inner.restart(moving)
		return r.descend(ctx, step, moving, result)
	}
	before := setAside(moving)
	err := r.descend(ctx, step, moving, result)
	for i, p := range moving {
		p.displace(before[i], float32(len(r.Tasks)))
	}
	for _, s := range result.Inner {
		result.Loss += s.Loss / float64(len(result.Inner))
	}
	return err
}

// descend takes the steps of the inner loop.
func (r *Run) descend(ctx context.Context, step Step, moving []*Param, result *Result) error {
	for k, turns := range step.Inner {
		b := batch{step: result.Step, at: step, turns: turns, stream: []any{"dropout", result.Step, "inner", k}}
		loss, norm, err := r.gradients(ctx, r.Inner.Engine, b, moving, result)
		if err != nil {
			return err
		}
		result.Inner = append(result.Inner, InnerStep{loss, norm})
		r.Inner.AdamW.Step(moving, r.Inner.Rate)
	}
	return nil
}

// restart puts weights back where they began, with an optimiser that has seen nothing.
func (l *InnerLoop) restart(moving []*Param) {
	l.remember(moving)
	for _, p := range moving {
		copy(p.Value, l.starts[p])
		p.m, p.v, p.steps = nil, nil, 0
	}
}

// remember keeps the weights as they are for where they begin, unless that is known.
func (l *InnerLoop) remember(moving []*Param) {
	if l.starts == nil {
		l.starts = map[*Param][]float32{}
	}
	for _, p := range moving {
		if _, seen := l.starts[p]; !seen {
			l.starts[p] = append([]float32(nil), p.Value...)
		}
	}
}

// aside is a weight's value and the outer optimiser's moments while an inner loop moves it.
type aside struct {
	value, m, v []float32
	steps       int
}

// setAside gives weights an optimiser that has seen nothing and returns what they were.
func setAside(params []*Param) []aside {
	before := make([]aside, len(params))
	for i, p := range params {
		before[i] = aside{append([]float32(nil), p.Value...), p.m, p.v, p.steps}
		p.m, p.v, p.steps = nil, nil, 0
	}
	return before
}

// displace puts a weight back where it was, with the outer optimiser's moments, and makes its way there the gradient:
// (before - now)/tasks.
func (p *Param) displace(before aside, tasks float32) {
	grad := p.gradient()
	for i, was := range before.value {
		grad[i] = (was - p.Value[i]) / tasks
	}
	copy(p.Value, before.value)
	p.m, p.v, p.steps = before.m, before.v, before.steps
}
