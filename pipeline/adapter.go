package pipeline

import (
	"fmt"
	"slices"

	"metalora/adapters"
	"metalora/models"
)

// loadAdapter reads a PEFT adapter and fits it to a model: its pairs to the linear layers, its head to the model's shapes. One
// that does not fit is refused before its weights are read.
func loadAdapter(dir string, base models.Architecture) (*adapters.Adapter, []adapters.Site, error) {
	places, err := bearers(base)
	if err != nil {
		return nil, nil, err
	}
	return placeAdapter(dir, base, places)
}

// bearers are the linear layers of a model that can bear adapters.
func bearers(base models.Architecture) ([]adapters.Linear, error) {
	graph, err := base.Forward(models.Dropout{})
	if err != nil {
		return nil, err
	}
	return linears(base, graph), nil
}

// loadChild is loadAdapter for an adapter that was trained on the model.
func loadChild(dir string, p *parentage) (*adapters.Adapter, []adapters.Site, error) {
	a, sites, err := loadAdapter(dir, p.base.Architecture)
	if err == nil {
		err = p.check(dir, a.Base)
	}
	return a, sites, err
}

// placeAdapter is loadAdapter for a model whose linear layers are known: finding them takes longer than reading an adapter.
func placeAdapter(dir string, base models.Architecture, places []adapters.Linear) (a *adapters.Adapter, sites []adapters.Site, err error) {
	if err := intact(dir); err != nil {
		return nil, nil, fmt.Errorf("loading adapter %s: %w", dir, err)
	}
	a, err = adapters.Load(dir, func(a *adapters.Adapter) (err error) {
		if sites, err = a.Sites(places); err != nil {
			return err
		}
		for _, p := range base.Parameters() {
			if t, ok := a.Tensors[p.Name]; ok && !slices.Equal(t.Shape, p.Shape) {
				return fmt.Errorf("tensor %s has shape %v, the base's is %v", p.Name, t.Shape, p.Shape)
			}
		}
		return nil
	})
	return a, sites, err
}

// loadOwn reads an adapter for scoring with a base: with the whole head, its own or the base's. One that was trained on
// another base is an error.
func loadOwn(dir string, p *parentage, places []adapters.Linear) (adapters.Mixed, error) {
	base := p.base
	a, sites, err := placeAdapter(dir, base.Architecture, places)
	if err != nil {
		return adapters.Mixed{}, err
	}
	if err := p.check(dir, a.Base); err != nil {
		return adapters.Mixed{}, err
	}
	_, head := models.Split(base.Architecture, base.Tensors)
	own := adapters.Mixed{Sites: sites, Tensors: merged(head, a.Tensors)}
	if !models.HasHead(base.Architecture, own.Tensors) {
		return own, fmt.Errorf("loading adapter %s: it brings no classification head (classifier.*) and %s has none; save it with its head (modules_to_save)", dir, base.Dir)
	}
	return own, nil
}
