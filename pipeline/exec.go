package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"metalora/convai2"
	"metalora/models"
	"metalora/onnx/ort"
	"metalora/pipeline/confined"
	"metalora/pipeline/fault"
	"metalora/pipeline/train"
	"metalora/tokenize"
)

// executor runs units in this process. Data and the last retrained base stay loaded from one unit to the next.
type executor struct {
	config   *Config
	material *material

	tokenizer  *tokenize.Tokenizer
	vocabulary *tokenize.Vocabulary // of a tokenizer trained here; nil where it is loaded

	retrain []convai2.Task
	test    map[int][]convai2.Task // by fold
	notes   []string               // about the data, for the results

	crew *Crew // nil: this process computes alone

	mutex sync.Mutex
	bases map[string]*models.Folder // the last base that was loaded, by folder
}

// NewExecutor tries the device, reads the data and the tokenizer, makes the tasks and checks that no training meets what it is measured on.
func NewExecutor(c *Config) (Executor, error) { return newExecutor(c) }

func newExecutor(c *Config) (*executor, error) {
	if err := ready(c.Device); err != nil {
		return nil, err
	}
	m, err := newMaterial(c)
	if err != nil {
		return nil, err
	}
	e := &executor{config: c, material: m, test: map[int][]convai2.Task{}, bases: map[string]*models.Folder{}}
	if err := e.openTokenizer(); err != nil {
		return nil, err
	}
	if c.retrains() {
		if e.retrain, err = m.retrainTasks(); err != nil {
			return nil, err
		}
	}
	for fold := range c.Data.Folds {
		if e.test[fold], err = m.testTasks(fold); err != nil {
			return nil, err
		}
		notes, err := m.check(e.retrain, e.test[fold])
		if err != nil {
			return nil, err
		}
		e.notes = append(e.notes, notes...)
	}
	return e, nil
}

// Describe says what computes, for the provenance.
func (e *executor) Describe() map[string]any {
	d := map[string]any{"device": e.config.Device, "onnxruntime": ort.Version(),
		kernelsKey: train.Spec{Device: e.config.Device, NoKernels: !e.config.Kernels}.Kernels()}
	if e.crew != nil {
		d["ranks"] = e.crew.ranks.Size()
	}
	return d
}

// retrains tells whether any method looks at the retraining tasks.
func (c *Config) retrains() bool {
	for _, m := range c.Retrain.Methods {
		if m != "none" {
			return true
		}
	}
	return false
}

// Run executes one unit into dir; a rank that follows gets none, since it writes nothing.
func (e *executor) Run(ctx context.Context, u *Unit, dir string, p Progress) error {
	defer train.CollectOften()()
	if err := e.crew.begin(u); err != nil {
		return err
	}
	return e.crew.ended(ctx, e.compute(ctx, u, dir, p))
}

func (e *executor) compute(ctx context.Context, u *Unit, dir string, p Progress) error {
	switch u.Kind {
	case KindRetrain:
		return e.runRetrain(ctx, u, dir, p)
	case KindAdapt:
		return e.runAdapt(ctx, u, dir, p)
	}
	return fmt.Errorf("running unit %s: there is no kind %q", u.ID, u.Kind)
}

// base loads a retrained base, or gives the one that is loaded.
func (e *executor) base(dir string) (*models.Folder, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if b := e.bases[dir]; b != nil {
		return b, nil
	}
	if err := errors.Join(confined.NoLink(filepath.Dir(dir), dir), asWritten(dir)); err != nil {
		return nil, fault.Input(fmt.Errorf("loading the retrained base: %w", err))
	}
	b, err := models.Load(dir)
	if err != nil {
		return nil, fault.Input(fmt.Errorf("loading the retrained base: %w", err))
	}
	e.bases = map[string]*models.Folder{dir: b}
	return b, nil
}

// encodeAll tokenizes tasks and counts the pairs that had to be cut.
func (e *executor) encodeAll(tasks []convai2.Task, turns int, a models.Architecture) (encoded []train.Task, cut int, err error) {
	for _, task := range tasks {
		t, n, err := encode(e.config, e.tokenizer, task, turns, maxTokens(e.config, a))
		if err != nil {
			return nil, 0, err
		}
		encoded, cut = append(encoded, t), cut+n
	}
	return encoded, cut, nil
}

// schedule is the learning rate of a stage: first is the number of batches of the first task.
func (c *Config) schedule(peak float64, stage string, plan train.Plan, first, epochs int) train.Schedule {
	s := c.Schedule
	switch {
	case s.Decay == DecayPublished && stage == stageRetrain:
		return train.PublishedRetraining(peak, s.Warmup, s.RetrainFactor, first, epochs)
	case s.Decay == DecayPublished:
		return train.PublishedAdaptation(peak, s.Warmup, s.AdaptFactor, first, epochs)
	}
	return train.OverRun(peak, s.Warmup, len(plan))
}
