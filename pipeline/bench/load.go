package bench

import (
	"metalora/adapters"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
)

// load is a model on the engine with its optimiser: what the pipeline trains and scores with.
type load struct {
	engine *train.Engine
	set    *train.Set
	run    *train.Run
	masks  *rng.Stream
}

// newSpec trains with LoRA of a rank on every linear layer of the encoder; 0: none. Nothing to train makes it one that scores.
func newSpec(a models.Architecture, trains train.Weights, rank int, dropout float64) (train.Spec, error) {
	spec := train.Spec{Architecture: a, Trains: trains, LoRADropout: dropout,
		Dropout: models.Dropout{Hidden: dropout, Attention: dropout, Head: dropout}}
	if rank == 0 {
		return spec, nil
	}
	graph, err := a.Forward(models.Dropout{})
	if err != nil {
		return spec, err
	}
	spec.Sites, err = adapters.LoRA{Rank: rank, Alpha: 16}.Sites(adapters.Linears(graph))
	return spec, err
}

// newLoad opens an engine and draws the adapter.
func newLoad(spec train.Spec, tensors safetensors.Tensors) (*load, error) {
	for name, t := range adapters.Init(spec.Sites, rng.New(1, "adapter")) {
		tensors[name] = t
	}
	engine, err := train.NewEngine(spec)
	if err != nil {
		return nil, err
	}
	set, err := train.NewSet(tensors, train.PadRows(spec.Architecture))
	if err != nil {
		engine.Close()
		return nil, err
	}
	run := &train.Run{Engine: engine, Shared: set, Tasks: []train.Task{{}}, AdamW: train.DefaultAdamW, Trained: spec.Trained(),
		Plan: train.Plan{{}}, Schedule: train.OverRun(5e-5, 0, 1)}
	return &load{engine, set, run, rng.New(3, "masks")}, nil
}

// update is a step of the optimiser.
func (l *load) update() error {
	_, err := l.run.Update(0)
	return err
}

func (l *load) close() {
	l.set.Close()
	l.engine.Close()
}
