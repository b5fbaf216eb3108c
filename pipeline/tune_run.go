package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"metalora/convai2"
	"metalora/pipeline/disk"
	"metalora/pipeline/fault"
	"metalora/pipeline/train"
)

// tuning is a tuning under way. Where its adapter is to be kept it is a unit of its own, whose work folder lies beside the adapter's place.
type tuning struct {
	TuneOptions
	adaptation
	progress Progress
	unit     Unit // its Work is "" where nothing is to be kept
}

func newTuning(c *Config, o TuneOptions, p Progress) *tuning {
	return &tuning{TuneOptions: o, progress: p, adaptation: adaptation{config: c, family: c.Adapt.Families[0], seed: uint64(c.Seeds[0])}}
}

func (e *executor) tune(ctx context.Context, t *tuning, task convai2.Task) (*TuneResult, error) {
	tasks, cut, err := e.encodeAll([]convai2.Task{task}, e.config.Data.Turns.Test, t.base.Architecture)
	if err != nil {
		return nil, err
	}
	if t.AdapterOut == "" {
		scratch, err := os.MkdirTemp("", "metalora-tune-*")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(scratch)
		return t.run(ctx, tasks[0], cut, scratch)
	}
	if err := t.identify(); err != nil {
		return nil, err
	}
	return t.alone(func() (*TuneResult, error) {
		if err := free(t.AdapterOut); err != nil {
			return nil, errors.Join(err, t.leaveNothing()) // another process was quicker
		}
		return t.keep(ctx, tasks[0], cut)
	})
}

// identify names the tuning by all that its result depends on, so that it goes on from no other's checkpoint.
func (t *tuning) identify() error {
	in, err := ReadInputs(t.config)
	if err != nil {
		return err
	}
	t.unit = adaptUnit(t.config, in, Unit{Kind: KindAdapt, Method: "none", Seed: t.config.Seeds[0], Family: t.family, Task: t.Persona, Turns: AllTurns})
	t.unit.Settings["model.path"], t.unit.Settings["model.tokenizer"] = in.Model, in.Tokenizer
	t.unit.Work, t.unit.Label = t.work(), fmt.Sprintf("tune %s on %s", t.family, filepath.Base(t.Data))
	return t.unit.identify()
}

// keep trains with checkpoints and places the adapter.
func (t *tuning) keep(ctx context.Context, task train.Task, cut int) (*TuneResult, error) {
	made := filepath.Join(t.unit.Work, "made")
	if err := disk.RemoveAll(made); err != nil {
		return nil, fmt.Errorf("removing what an earlier tuning left: %w", err)
	}
	if err := disk.Mkdir(made); err != nil {
		return nil, fmt.Errorf("tuning: %w", err)
	}
	t.checkpoints, t.events = newCheckpoints(t.config, &t.unit, t.progress), newEvents(&t.unit, t.progress)
	r, err := t.run(ctx, task, cut, made)
	if err != nil {
		return nil, err
	}
	_, _, r.Elsewhere = t.unit.attempts()
	if err := t.place(filepath.Join(made, "adapter"), r); err != nil {
		return nil, fmt.Errorf("writing the adapter: %w", err)
	}
	return r, nil
}

// run trains, and writes the adapter below dir where it is to be kept.
func (t *tuning) run(ctx context.Context, task train.Task, cut int, dir string) (*TuneResult, error) {
	t.progress.Start(fmt.Sprintf("tune %s on %s", t.family, t.Data))
	r := &Result{Cut: cut}
	own, err := t.train(ctx, task, r, dir, t.progress)
	t.progress.End(err)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil, t.stopped()
	}
	if err != nil {
		return nil, err
	}
	if t.AdapterOut != "" {
		if err := t.saveTuned(filepath.Join(dir, "adapter"), t.TuneOptions, own, r); err != nil {
			return nil, err
		}
	}
	return &TuneResult{Adapter: t.AdapterOut, Family: t.family, Turns: r.TrainTurns, Parameters: r.Parameters, Steps: r.Steps, Cut: r.Cut,
		HeldOut: r.Epochs[len(r.Epochs)-1].HeldOut, Epochs: r.Epochs}, nil
}

// stopped says what is kept of a tuning that was asked to stop.
func (t *tuning) stopped() error {
	if t.AdapterOut == "" {
		return fmt.Errorf("%w: nothing was written, for there is no --adapter-out to write to", fault.Stopped)
	}
	return fmt.Errorf("%w: the tuning %s if the same command is run again", fault.Stopped, t.unit.nextStart())
}
