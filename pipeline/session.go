package pipeline

import (
	"context"
	"errors"
	"math"

	"metalora/eval"
	"metalora/models/safetensors"
	"metalora/onnx/ort"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
)

// session is one training of a unit: the weights on the engine, a run over them, and what is kept of it.
type session struct {
	run     *train.Run
	scorer  *train.Engine
	scores  func(epoch int) bool // whether held-out turns are scored after it, counted from 0
	shared  safetensors.Tensors
	own     []safetensors.Tensors // by task; nil where tasks own nothing
	result  *Result
	metrics *metrics
	closers []func()

	loss  float64 // sum over the steps of the epoch
	steps int

	kept        []safetensors.Tensors // weights of the best epoch so far, where the unit keeps them
	checkpoints *checkpoints          // nil: none are written
	events      *events               // nil: none are written
	ranks       Processes             // nil: this process trains alone
	// onEpoch sees each epoch's held-out scores by task, after they are in the result.
	onEpoch func(epoch eval.Epoch, scores [][]eval.TurnScore) error
}

// settings say how a session trains.
type settings struct {
	method   train.Method
	spec     train.Spec
	shared   safetensors.Tensors
	own      []safetensors.Tensors
	inner    innerSettings // where the method has an inner loop
	tasks    []train.Task
	batch    int
	epochs   int
	lastOnly bool // held-out turns are scored after the last epoch alone
	schedule func(plan train.Plan, first int) train.Schedule
	adamW    train.AdamW
	skip     bool   // turns that break are left out and counted
	keeps    bool   // the weights of the best epoch so far are kept beside those that move
	spares   bool   // the base that moves is a copy
	memory   string // one of the memory policies
	stream   []any  // the name of the unit's random streams; equal names train on equal orders and masks
	seed     uint64

	checkpoints *checkpoints // nil: none are written
	events      *events      // nil: none are written
	ranks       Processes    // nil: this process trains alone
}

type innerSettings struct {
	steps int
	rate  float64
	adamW train.AdamW
}

// newSession builds the engines and binds the weights.
func newSession(s settings, result *Result, dir string, p Progress) (*session, error) {
	t := &session{shared: s.shared, own: s.own, result: result, checkpoints: s.checkpoints, events: s.events, ranks: s.ranks,
		scores: func(epoch int) bool { return !s.lastOnly || epoch+1 == s.epochs }}
	if err := s.checkMemory(p); err != nil {
		return nil, err
	}
	t.closers = append(t.closers, train.CollectOften())
	if err := t.open(s); err != nil {
		t.close()
		return nil, err
	}
	t.plan(s)
	t.count(s)
	err := t.place(dir, s.spec.Device)
	if err == nil {
		err = t.resume()
	}
	if err != nil {
		t.close()
		return nil, err
	}
	p.Expect(t.run.Done, len(t.run.Plan))
	t.events.begin(t.run.Done)
	t.run.AfterStep = func(r train.Result) error {
		t.loss, t.steps = t.loss+r.Loss, t.steps+1
		t.result.Tokens += r.Tokens
		t.result.Skipped += r.Skipped
		p.Step(r.Loss, r.Tokens)
		t.events.step(r)
		if err := t.metrics.add(r); err != nil {
			return err
		}
		return t.checkpoint(false)
	}
	return t, nil
}

// follows tells whether another process writes what this one computes with it.
func (t *session) follows() bool { return t.ranks != nil && t.ranks.Rank() > 0 }

// place takes note of what the bits of this training depend on here, and where its metrics go.
func (t *session) place(dir string, device ort.Device) (err error) {
	here := here().with(t.run, device)
	if c := t.checkpoints; c != nil {
		c.environment = here.and(together(t.ranks))
		c.expected = t.expect()
		t.run.BeforeMove = c.unread
	}
	if t.follows() {
		t.events, t.metrics = nil, noMetrics()
	} else if t.metrics, err = newMetrics(dir); err != nil {
		return err
	}
	return here.alike(t.ranks)
}

// open makes the training engine, the scoring engine and the sets of weights.
func (t *session) open(s settings) error {
	engine, err := train.NewEngine(s.spec)
	if err != nil {
		return err
	}
	t.closers = append(t.closers, engine.Close)
	if t.scorer, err = train.NewEngine(scoring(s.spec)); err != nil {
		return err
	}
	t.closers = append(t.closers, t.scorer.Close)
	t.run = &train.Run{Engine: engine, Tasks: s.tasks, AdamW: s.adamW, Skip: s.skip, Trained: s.spec.Trained()}
	if s.ranks != nil {
		t.run.Ranks = s.ranks
	}
	if err := t.openInner(s); err != nil {
		return err
	}
	pad := train.PadRows(s.spec.Architecture)
	if t.run.Shared, err = t.bind(s.shared, pad); err != nil {
		return err
	}
	for _, own := range s.own {
		set, err := t.bind(own, pad)
		if err != nil {
			return err
		}
		t.run.Own = append(t.run.Own, set)
	}
	return nil
}

// openInner makes the inner loop of a method that has one, on an engine of its own where it moves other weights.
func (t *session) openInner(s settings) error {
	inner := s.method.Inner
	if inner == nil {
		return nil
	}
	spec := s.spec
	spec.Trains = inner.Moves
	l := &train.InnerLoop{Outer: inner.Outer, Engine: t.run.Engine, Trained: spec.Trained(), AdamW: s.inner.adamW, Rate: s.inner.rate}
	if inner.Moves != s.method.Trains {
		var err error
		if l.Engine, err = train.NewEngine(spec); err != nil {
			return err
		}
		t.closers = append(t.closers, l.Engine.Close)
	}
	t.run.Inner = l
	return nil
}

func (t *session) bind(tensors safetensors.Tensors, pad map[string]int) (*train.Set, error) {
	set, err := train.NewSet(tensors, pad)
	if err == nil {
		t.closers = append(t.closers, set.Close)
	}
	return set, err
}

// plan lays out the steps. Orders and dropout masks come from streams that bear the unit's name.
func (t *session) plan(s settings) {
	counts := make([]int, len(s.tasks))
	for i := range s.tasks {
		counts[i] = len(s.tasks[i].Train)
	}
	t.run.Plan = s.method.Plan(counts, s.batch, s.epochs, s.inner.steps, func(task, epoch, pass int) []int {
		name := []any{"order", s.tasks[task].Name, epoch}
		if pass > 0 {
			name = append(name, pass)
		}
		return stream(s, name...).Perm(counts[task])
	})
	first := train.Batches(counts[0], s.batch)
	if inner := s.method.Inner; inner != nil && inner.Outer == train.Displacement {
		first = len(counts) // an outer step a task: the published schedule counts those of an epoch
	}
	t.run.Schedule = s.schedule(t.run.Plan, first)
	t.run.Seed = stream(s, "dropout").Uint64()
}

func stream(s settings, name ...any) *rng.Stream {
	return rng.New(s.seed, append(append([]any{}, s.stream...), name...)...)
}

// count fills the sizes into the result.
func (t *session) count(s settings) {
	for _, task := range s.tasks {
		t.result.TrainTurns += len(task.Train)
		t.result.HeldOutTurns += len(task.HeldOut)
	}
	t.result.Steps = len(t.run.Plan)
	t.result.Parameters = t.run.Trainable()
}

// do runs the epochs that are left, scoring the held-out turns after those that are scored; a stop on request leaves a checkpoint, and so do numbers that
// break: of the weights before that step. Before the first it makes sure that a candidate's place has no part in its score.
func (t *session) do(ctx context.Context) error {
	if err := t.run.CheckOrder(ctx, t.scorer); err != nil {
		return err
	}
	t.run.AfterEpoch = func(epoch int) error { return t.endEpoch(ctx, epoch) }
	err := t.run.Do(ctx)
	switch {
	case train.Asked(ctx, err):
		if failed := t.checkpoint(true); failed != nil {
			return failed
		}
	case fault.Code(err) == fault.CodeNumbers && t.run.Finite():
		return errors.Join(err, t.checkpoint(true))
	}
	return err
}

func (t *session) endEpoch(ctx context.Context, epoch int) error {
	if !t.scores(epoch) {
		t.loss, t.steps = 0, 0
		return nil
	}
	scores, err := t.run.HeldOut(ctx, t.scorer)
	if err != nil {
		return err
	}
	e := eval.Epoch{Epoch: epoch + 1, Loss: t.loss / math.Max(1, float64(t.steps)), HeldOut: meanOverTasks(scores)}
	t.loss, t.steps = 0, 0
	t.result.Epochs = append(t.result.Epochs, e)
	t.events.epoch(t.run.Done, e)
	if err := t.metrics.add(e); err != nil {
		return err
	}
	return t.onEpoch(e, scores)
}

// meanOverTasks weighs every task the same, however many turns it holds out.
func meanOverTasks(scores [][]eval.TurnScore) eval.Metrics {
	if len(scores) == 1 {
		return eval.Measure(scores[0])
	}
	var mean eval.Metrics
	n := float64(len(scores))
	for _, s := range scores {
		m := eval.Measure(s)
		mean.Turns += m.Turns
		mean.Correct += m.Correct
		mean.Accuracy += m.Accuracy / n
		mean.Hits5 += m.Hits5 / n
		mean.MRR += m.MRR / n
		mean.Chance += m.Chance / n
	}
	return mean
}

// close waits for a checkpoint that is being written and ends the engines; the weights stay.
func (t *session) close() error {
	var err error
	if t.checkpoints != nil {
		err = t.checkpoints.settle(true)
	}
	for i := len(t.closers) - 1; i >= 0; i-- {
		t.closers[i]()
	}
	t.closers = nil
	t.events.end()
	if t.metrics != nil {
		m := t.metrics
		t.metrics = nil
		err = errors.Join(err, m.close())
	}
	return err
}
