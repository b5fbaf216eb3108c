package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"metalora/adapters"
	"metalora/models"
	encoders "metalora/models/exported"
	"metalora/onnx"
	"metalora/onnx/autodiff"
	"metalora/onnx/ort"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
)

// GraftOptions say where on a graph LoRA goes.
type GraftOptions struct {
	From, To string   // .onnx files
	Targets  []string // globs of linear layers' whole names
	Rank     int
	Alpha    float64
	Seed     int
}

// Graft writes any ONNX model once more, with LoRA behind the linear layers that a glob matches: their matrices are float inputs
// X.lora_A.weight and X.lora_B.weight with values, A drawn and B zero, so that the model computes what it did. Their gradients are
// [Gradients]' to add. It returns the places.
func Graft(o GraftOptions) ([]adapters.Site, error) {
	if o.Rank < 1 || !(o.Alpha > 0) || len(o.Targets) == 0 {
		return nil, fault.Usage(fmt.Errorf("rank %d, alpha %g, targets %q: want a rank and an alpha above zero, and a target", o.Rank, o.Alpha, o.Targets))
	}
	if err := apart(o.From, o.To); err != nil {
		return nil, err
	}
	m, err := onnx.ReadFile(o.From)
	if err != nil {
		return nil, fault.Input(err)
	}
	m, _, err = encoders.Linearise(m)
	if err != nil {
		return nil, fault.Input(fmt.Errorf("looking for the linear layers of %s: %w", o.From, err))
	}
	sites, err := o.sites(adapters.Linears(m))
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("%s: %w", o.From, err))
	}
	if m, err = adapters.Insert(m, sites, 0); err != nil {
		return nil, fault.Input(err)
	}
	weights := adapters.Init(sites, rng.New(uint64(o.Seed), "graft"))
	if m, err = models.Fill(m, nil, weights); err != nil {
		return nil, err
	}
	return sites, writeOpened(m, o.To)
}

// sites chooses the linear layers. A glob that matches none is an error that lists what there is.
func (o GraftOptions) sites(linears []adapters.Linear) ([]adapters.Site, error) {
	lora := adapters.LoRA{Rank: o.Rank, Alpha: o.Alpha}
	matched := map[string]bool{}
	var sites []adapters.Site
	for _, x := range linears {
		meant := false
		for _, glob := range o.Targets {
			ok := autodiff.Matches(glob, x.Name)
			matched[glob] = matched[glob] || ok
			meant = meant || ok
		}
		if !meant {
			continue
		}
		s, err := lora.At(x)
		if err != nil {
			return nil, err
		}
		sites = append(sites, s)
	}
	if len(linears) == 0 {
		return nil, errors.New("it has no linear layer of the kinds that LoRA goes on: MatMul with a constant, with or without Add, and Gemm")
	}
	for _, glob := range o.Targets {
		if !matched[glob] {
			return nil, fmt.Errorf("target %q matches none of its %d linear layers: %s", glob, len(linears), namesOf(linears))
		}
	}
	return sites, nil
}

// namesOf lists some linear layers.
func namesOf(linears []adapters.Linear) string {
	const most = 20
	var names []string
	for i, x := range linears {
		if i == most {
			return strings.Join(append(names, "…"), ", ")
		}
		names = append(names, x.Name)
	}
	return strings.Join(names, ", ")
}

// writeOpened writes a model that the engine can open.
func writeOpened(m *onnx.Model, file string) error {
	s, err := ort.OpenModel(m, ort.Options{Threads: 1})
	if err != nil {
		return fault.Input(errors.Join(errors.New("opening the model with its adapters"), err))
	}
	s.Close()
	return m.WriteFile(file)
}
