package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"metalora/pipeline/fault"
)

// Task is the data of one persona.
type Task struct {
	Name           string
	Train, HeldOut []Turn
}

// Run is a training run: the plan's steps, each moving the shared weights and the active task's own.
type Run struct {
	Engine   *Engine
	Shared   *Set   // read by all tasks
	Own      []*Set // task t reads Own[t] first; nil where tasks own nothing
	Tasks    []Task
	Plan     Plan
	Schedule Schedule
	AdamW    AdamW
	Seed     uint64 // of the dropout masks
	Trained  []string
	Inner    *InnerLoop // of a method with two loops; else nil
	Ranks    Ranks      // nil: this process walks the run alone
	Skip     bool       // a turn whose loss or gradient is not finite is left out of its batch and counted

	Done  int // steps that lie behind; [Run.Do] goes on from there
	Ended int // epochs whose end has been dealt with

	BeforeMove func()                // called before a step moves weights or moments; may be nil
	AfterStep  func(Result) error    // may be nil
	AfterEpoch func(epoch int) error // may be nil
}

// Result is what one step was.
type Result struct {
	Step     int     `json:"step"` // from 0
	Epoch    int     `json:"epoch"`
	Task     int     `json:"task"`
	Rate     float64 `json:"lr"`
	Loss     float64 `json:"loss"`      // mean over the batch's pairs, before the step
	GradNorm float64 `json:"grad_norm"` // over all weights that have a gradient, before the step

	Inner []InnerStep `json:"inner,omitempty"` // the steps of the inner loop; where only they have losses, Loss is their mean

	Skipped int `json:"skipped,omitempty"` // turns left out because their loss or gradient was not finite

	Tokens  int           `json:"-"` // real ones
	Seconds time.Duration `json:"-"`
}

// Do walks the plan from where the run is. It stops between turns when ctx ends, and at the first loss or gradient that is
// not finite, unless Skip says otherwise; after it, [Run.Do] of the same or of another run begins with what is not done.
func (r *Run) Do(ctx context.Context) error {
	for {
		if err := r.endEpoch(); err != nil || r.Done == len(r.Plan) {
			return err
		}
		result, err := r.step(ctx, r.Done, r.Plan[r.Done])
		if err != nil {
			return err
		}
		r.Done++
		if r.AfterStep != nil {
			if err := r.AfterStep(result); err != nil {
				return err
			}
		}
	}
}

// endEpoch deals with the end of an epoch whose last step lies behind, unless that has happened.
func (r *Run) endEpoch() error {
	if r.Done == 0 {
		return nil
	}
	epoch := r.Plan[r.Done-1].Epoch
	if r.Ended > epoch || r.Done < len(r.Plan) && r.Plan[r.Done].Epoch == epoch {
		return nil
	}
	if r.AfterEpoch != nil {
		if err := r.AfterEpoch(epoch); err != nil {
			return err
		}
	}
	r.Ended = epoch + 1
	return nil
}

// Sets are the weights a task sees: its own before the shared.
func (r *Run) Sets(task int) []*Set {
	if r.Own == nil {
		return []*Set{r.Shared}
	}
	return []*Set{r.Own[task], r.Shared}
}

func (r *Run) step(ctx context.Context, i int, step Step) (Result, error) {
	start := time.Now()
	result := Result{Step: i, Epoch: step.Epoch, Task: step.Task, Rate: r.Schedule.Rate(i)}
	params := r.params(r.Trained, r.Sets(step.Task))
	if r.Inner != nil {
		r.beforeMove()
		if err := r.inner(ctx, step, params, &result); err != nil {
			return result, err
		}
	}
	var err error
	if len(step.Turns) > 0 {
		b := batch{step: i, at: step, turns: step.Turns, stream: []any{"dropout", i}}
		result.Loss, result.GradNorm, err = r.gradients(ctx, r.Engine, b, params, &result)
	} else {
		result.GradNorm, err = r.norm(i, step, params)
	}
	if err != nil {
		return result, err
	}
	r.beforeMove()
	r.AdamW.Step(params, result.Rate)
	result.Seconds = time.Since(start)
	return result, nil
}

// Update ends step i of the plan: it moves the weights by the gradients that have added up, and returns their norm.
func (r *Run) Update(i int) (norm float64, err error) {
	step := r.Plan[i]
	params := r.params(r.Trained, r.Sets(step.Task))
	if norm, err = r.norm(i, step, params); err != nil {
		return 0, err
	}
	r.beforeMove()
	r.AdamW.Step(params, r.Schedule.Rate(i))
	return norm, nil
}

func (r *Run) beforeMove() {
	if r.BeforeMove != nil {
		r.BeforeMove()
	}
}

// norm is the gradients' norm, or the error that one of them is not finite.
func (r *Run) norm(i int, step Step, params []*Param) (float64, error) {
	norm, culprit := gradientNorm(params)
	if culprit != "" {
		return 0, fault.Numbers(fmt.Errorf("step %d (epoch %d, task %s): the gradient of %s is not finite", i, step.Epoch+1, r.Tasks[step.Task].Name, culprit))
	}
	return norm, nil
}

// Trainable counts the weights that move, every task's own included.
func (r *Run) Trainable() int {
	n, trained := 0, slices.Clone(r.Trained)
	if r.Inner != nil {
		trained = append(trained, r.Inner.Trained...)
		slices.Sort(trained)
	}
	for _, name := range slices.Compact(trained) {
		for _, s := range append([]*Set{r.Shared}, r.Own...) {
			if p := s.params[name]; p != nil {
				n += len(p.Value)
			}
		}
	}
	return n
}

// params are the weights of those names that a task sees.
func (r *Run) params(names []string, sets []*Set) []*Param {
	params := make([]*Param, len(names))
	for i, name := range names {
		params[i] = find(sets, name)
	}
	return params
}

// gradientNorm is the Euclidean norm over all gradients, in float64, and the first weight whose gradient is not finite.
func gradientNorm(params []*Param) (norm float64, culprit string) {
	sums := make([][]float64, len(params))
	var pieces []func()
	for i, p := range params {
		grad := p.gradient()
		sums[i] = make([]float64, Batches(len(grad), adamChunk))
		for c := range sums[i] {
			pieces = append(pieces, func() { sums[i][c] = squares(grad[c*adamChunk : min((c+1)*adamChunk, len(grad))]) })
		}
	}
	parallel(pieces)
	total := 0.0
	for i, chunks := range sums {
		for _, s := range chunks {
			if culprit == "" && notFinite(s) {
				culprit = params[i].Name
			}
			total += s
		}
	}
	return math.Sqrt(total), culprit
}

func squares(xs []float32) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += float64(x) * float64(x)
	}
	return sum
}
