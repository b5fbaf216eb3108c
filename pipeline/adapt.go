package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"metalora/adapters"
	"metalora/convai2"
	"metalora/eval"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
)

// familiesByKind are the ways to adapt, by the kind in their names; "none" has no training.
var familiesByKind = map[string]train.Method{"lora": train.LoRA, "last-layer": train.LastLayer, "full": train.Full}

// runAdapt adapts a retrained base to one test task: its heads and adapters gone, the base frozen but for full
// fine-tuning, a fresh head and, in LoRA, a fresh adapter.
func (e *executor) runAdapt(ctx context.Context, u *Unit, dir string, p Progress) error {
	from, factor, err := e.chooseBase(u)
	if err != nil {
		return err
	}
	base, err := e.base(filepath.Join(u.NeedDirs[from], "model"))
	if err != nil {
		return err
	}
	task, err := e.testTask(u)
	if err != nil {
		return err
	}
	limit := e.config.Data.Turns.Test
	if u.Turns != AllTurns && (limit == 0 || u.Turns < limit) {
		limit = u.Turns
	}
	tasks, cut, err := e.encodeAll([]convai2.Task{task}, limit, base.Architecture)
	if err != nil {
		return err
	}
	result := &Result{Unit: u.ID, Kind: u.Kind, Method: u.Method, Seed: u.Seed, Family: u.Family, Task: u.Name(), Fold: u.Fold, Cut: cut,
		RateFactor: factor, Limit: max(0, u.Turns)}
	if u.Family == "none" {
		if !e.crew.leads() {
			return nil
		}
		return errors.Join(e.score(ctx, u, base, filepath.Join(u.NeedDirs[from], "discarded"), tasks[0], result, dir), result.write(dir))
	}
	a := adaptation{config: e.config, base: base, family: u.Family, seed: uint64(u.Seed), checkpoints: newCheckpoints(e.config, u, p), events: newEvents(u, p), ranks: e.crew.share()}
	own, err := a.train(ctx, tasks[0], result, dir, p)
	if err != nil || !e.crew.leads() {
		return err
	}
	return errors.Join(a.save(filepath.Join(dir, "adapter"), "../../"+u.Needs[from]+"/model", own, result), result.write(dir))
}

// chooseBase picks among the retrainings that differ in their learning rate the one that was best on held-out turns of
// the retraining tasks, the first of equals: test personas have no say. It returns its place among the unit's needs.
func (e *executor) chooseBase(u *Unit) (best int, factor float64, err error) {
	if len(u.NeedDirs) == 1 {
		return 0, 0, nil
	}
	accuracy := -1.0
	for i, dir := range u.NeedDirs {
		r, err := readResult(dir)
		if err == nil && r.Unit != u.Needs[i] {
			err = fmt.Errorf("reading results %s: its unit is %.100q, want %q", filepath.Join(dir, ResultsFile), r.Unit, u.Needs[i])
		}
		if err != nil {
			return 0, 0, fault.Input(err)
		}
		if kept := r.keptAccuracy(); kept > accuracy {
			best, factor, accuracy = i, r.RateFactor, kept
		}
	}
	return best, factor, nil
}

func (e *executor) testTask(u *Unit) (convai2.Task, error) {
	for _, t := range e.test[u.Fold] {
		if t.Rank == u.Task {
			return t, nil
		}
	}
	return convai2.Task{}, fault.Usage(fmt.Errorf("unit %s: no test task of rank %d", u.ID, u.Task))
}

// adaptation fits a fresh adapter or head to one task.
type adaptation struct {
	config  *Config
	base    *models.Folder
	family  string
	seed    uint64
	licence string              // of the data, where the user says it
	lora    adapters.LoRA       // set by train where the family has one
	moved   safetensors.Tensors // set by train in full fine-tuning: the base's weights, moved

	checkpoints *checkpoints // nil: none are written
	events      *events
	ranks       Processes // nil: this process trains alone
}

// train returns the adapter and head. Bases adapted to one task under one seed start from the same draws and see the
// same orders and masks, so that only the base differs.
func (a *adaptation) train(ctx context.Context, task train.Task, result *Result, dir string, p Progress) (safetensors.Tensors, error) {
	s, err := a.settings(task)
	if err != nil {
		return nil, err
	}
	s.checkpoints, s.events, s.ranks = a.checkpoints, a.events, a.ranks
	t, err := newSession(s, result, dir, p)
	if err != nil {
		return nil, err
	}
	t.onEpoch = func(_ eval.Epoch, scores [][]eval.TurnScore) error {
		result.Turns = scores[0]
		return nil
	}
	return s.own[0], errors.Join(t.do(ctx), t.close())
}

func (a *adaptation) settings(task train.Task) (settings, error) {
	c := a.config
	variant, err := ParseFamily(a.family)
	if err != nil {
		return settings{}, fault.Usage(err)
	}
	method := familiesByKind[variant.Kind]
	spec := train.Spec{Architecture: a.base.Architecture, Dropout: c.dropout(), Trains: method.Trains, Threads: c.Threads, Spin: c.Spin, NoKernels: !c.Kernels, Device: c.Device}
	name := []any{"adapt", a.family, task.Name}
	own := freshHead(a.base, rng.New(a.seed, append(name, "head")...))
	if method.Trains.Has(train.Adapter) {
		a.lora = c.Adapt.LoRA.lora(variant.Rank)
		if spec.Sites, err = sites(a.base.Architecture, a.lora); err != nil {
			return settings{}, err
		}
		spec.LoRADropout = a.lora.Dropout
		own = merged(own, adapters.Init(spec.Sites, rng.New(a.seed, append(name, "adapter")...)))
	}
	encoder, _ := models.Split(a.base.Architecture, a.base.Tensors)
	rate := c.Adapt.LearningRate
	if method.Trains.Has(train.Base) {
		a.moved = encoder.Clone() // other units start from the same base
		encoder, rate = a.moved, c.Adapt.FullLearningRate
	}
	return settings{method: method, spec: spec, shared: encoder, own: []safetensors.Tensors{own}, tasks: []train.Task{task},
		batch: c.Adapt.Batch, epochs: c.Adapt.Epochs, lastOnly: c.Adapt.Score == ScoreLast, adamW: c.Optimizer.adamW(), skip: c.Optimizer.SkipBroken, spares: a.moved != nil, memory: c.Memory, stream: name, seed: a.seed,
		schedule: func(plan train.Plan, first int) train.Schedule {
			return c.schedule(rate, stageTest, plan, first, c.Adapt.Epochs)
		}}, nil
}

// save writes a PEFT folder that names its base, with a model card, or for a head alone its tensors. Full fine-tuning leaves scores alone: a
// copy of the whole model for every task, seed and method would be a hundred times the rest of the run.
func (a *adaptation) save(dir, base string, own safetensors.Tensors, r *Result) error {
	if a.family == "full" {
		return nil
	}
	if a.lora.Rank == 0 {
		return saveTensors(filepath.Join(dir, "head.safetensors"), own)
	}
	adapter := &adapters.Adapter{LoRA: a.lora, Base: base, Tensors: own, Modules: headModules(a.base.Architecture)}
	if err := adapter.Save(dir); err != nil {
		return fmt.Errorf("saving the adapter: %w", err)
	}
	return a.card(base, r).write(dir)
}
