package bench

import (
	"context"
	"fmt"

	"metalora/adapters"
	"metalora/models"
	"metalora/models/safetensors"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
	"metalora/tokenize"
)

// mixed scores one batch twice: a few pairs for each of several adapters in one run, and all of its pairs with one adapter.
type mixed struct {
	several, one *train.Engine
	shared, all  *train.Set // the base; the base with one adapter
	stack        adapters.Stacked
	part, whole  *train.Turn // one adapter's pairs; the batch
}

// mixPiece compares the two for count adapters of rank 8 on a model of that size, pairs pairs of length tokens each.
func mixPiece(ctx context.Context, size string, count, pairs, length, threads int) (Piece, error) {
	m, err := newMixed(size, count, pairs, length, threads)
	if err != nil {
		return Piece{}, err
	}
	defer m.close()
	var ratios []float64
	for i := range 12 {
		several, err := timed(func() error { _, err := m.several.ScoreMixed(ctx, m.part, m.stack, m.shared); return err })
		if err != nil {
			return Piece{}, err
		}
		one, err := timed(func() error { _, err := m.one.Score(ctx, m.whole, m.all); return err })
		if err != nil {
			return Piece{}, err
		}
		if i > 0 { // the first run lays out memory
			ratios = append(ratios, several/one)
		}
	}
	return Piece{fmt.Sprintf("scoring a batch that mixes %d adapters, %s", count, size), quantile(ratios, 0.5), "times the same batch with one",
		fmt.Sprintf("quartiles %.2f–%.2f; %d pairs of %d tokens", quantile(ratios, 0.25), quantile(ratios, 0.75), count*pairs, length)}, nil
}

func newMixed(size string, count, pairs, length, threads int) (*mixed, error) {
	cases, err := Cases(size, pairs, length, threads, 1)
	if err != nil {
		return nil, err
	}
	c := cases[0]
	spec, err := newSpec(c.Config, 0, 8, 0)
	if err != nil {
		return nil, err
	}
	spec.Threads = threads
	m := &mixed{part: c.turn(), whole: c.turn()}
	var rows [][]int
	for range count {
		for r := range pairs {
			rows = append(rows, ids(m.part.IDs[r*length:(r+1)*length]))
		}
	}
	m.whole.Batch = tokenize.NewBatch(rows, c.Config.PadTokenID)
	if err := m.load(spec, c.Config, count); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *mixed) load(spec train.Spec, base models.Config, count int) (err error) {
	tensors := models.Initialise(base, rng.New(1, "bench"))
	if m.shared, err = train.NewSet(tensors.Clone(), nil); err != nil {
		return err
	}
	var all []adapters.Mixed
	for i := range count {
		own := adapters.Init(spec.Sites, rng.New(1, "adapter", i))
		for _, name := range spec.Heads() {
			own[name] = tensors[name]
		}
		all = append(all, adapters.Mixed{Sites: spec.Sites, Tensors: own})
	}
	m.stack = adapters.Stack(spec.Sites, spec.Heads(), all)
	if m.all, err = train.NewSet(joined(tensors, all[0].Tensors), nil); err != nil {
		return err
	}
	if m.one, err = train.NewEngine(spec); err != nil {
		return err
	}
	spec.Mixed = true
	m.several, err = train.NewEngine(spec)
	return err
}

// joined are both maps' tensors.
func joined(a, b safetensors.Tensors) safetensors.Tensors {
	both := safetensors.Tensors{}
	for _, t := range []safetensors.Tensors{a, b} {
		for name, tensor := range t {
			both[name] = tensor
		}
	}
	return both
}

func ids(wide []int64) []int {
	list := make([]int, len(wide))
	for i, id := range wide {
		list[i] = int(id)
	}
	return list
}

func (m *mixed) close() {
	for _, e := range []*train.Engine{m.several, m.one} {
		if e != nil {
			e.Close()
		}
	}
	for _, s := range []*train.Set{m.shared, m.all} {
		if s != nil {
			s.Close()
		}
	}
}
