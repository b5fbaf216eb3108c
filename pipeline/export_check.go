package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"

	"metalora/models"
	"metalora/models/safetensors"
	"metalora/onnx/ort"
	"metalora/pipeline/rng"
	"metalora/pipeline/train"
	"metalora/tokenize"
)

// Most that a logit of a written model may differ from our own run: float32 rounding of another order of operations, with
// room for models whose logits are large.
const (
	exportAbsolute = 1e-4
	exportRelative = 1e-4
)

// checkBatches are what a written model is run on: batches of rows of these lengths, padded to the longest.
var checkBatches = [][]int{{1, 7, 12}, {33}, {5, 5, 5, 2}}

// compare runs the file and our own graph on rows of drawn ids and returns how many and the largest difference of a logit.
func (e *exporting) compare(ctx context.Context, path string) (rows int, difference float64, err error) {
	own, err := e.own()
	if err != nil {
		return 0, 0, err
	}
	defer own.Close()
	written, err := ort.OpenFile(path, ort.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer written.Close()
	var adapter *ort.Adapter
	if e.fed != nil && !e.Bare {
		if adapter, err = ort.OpenAdapter(path + adapterSuffix); err != nil {
			return 0, 0, err
		}
		defer adapter.Close()
	}
	for i, lengths := range checkBatches {
		batch := drawBatch(own.limits, lengths, rng.New(uint64(i), "export"))
		want, err := own.engine.Logits(ctx, batch, own.set)
		if err != nil {
			return 0, 0, err
		}
		got, err := e.runFile(ctx, written, adapter, batch)
		if err != nil {
			return 0, 0, err
		}
		d, err := differ(want, got)
		if err != nil {
			return 0, 0, err
		}
		difference = max(difference, d)
		rows += batch.Rows
	}
	return rows, difference, nil
}

// differ is the largest difference of a logit; an error where it is more than rounding.
func differ(want, got []float32) (difference float64, err error) {
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if !(d <= exportAbsolute+exportRelative*math.Abs(float64(want[i]))) {
			return d, fmt.Errorf("a logit is %v, our own run gives %v", got[i], want[i])
		}
		difference = max(difference, d)
	}
	return difference, nil
}

// own is our own run of what is exported: the base as it is, with the adapter, if any, behind its layers.
func (e *exporting) own() (*Scorer, error) {
	tensors := e.base.Tensors
	if e.adapter != nil {
		tensors = merged(e.base.Tensors, e.adapter.Tensors)
	}
	return newScorer(e.base.Architecture, train.Spec{Architecture: e.base.Architecture, Sites: e.sites}, tensors)
}

// newScorer opens an engine over tensors.
func newScorer(a models.Architecture, spec train.Spec, tensors safetensors.Tensors) (*Scorer, error) {
	s := &Scorer{limits: a.Limits()}
	var err error
	if s.engine, err = train.NewEngine(spec); err != nil {
		return nil, err
	}
	if s.set, err = train.NewSet(tensors, nil); err != nil {
		s.engine.Close()
		return nil, err
	}
	return s, nil
}

// drawBatch draws rows of ids and segments within a model's bounds.
func drawBatch(l models.Limits, lengths []int, s *rng.Stream) tokenize.Batch {
	rows := make([][]int, len(lengths))
	for r, n := range lengths {
		for range min(n, l.Length) {
			rows[r] = append(rows[r], s.IntN(l.Vocabulary))
		}
	}
	batch := tokenize.NewBatch(rows, l.Pad)
	for i := range batch.Types {
		batch.Types[i] = batch.Mask[i] * int64(s.IntN(max(1, l.Segments)))
	}
	return batch
}

// runFile runs a written model on a batch; values of the adapter that have no default are fed with it.
func (e *exporting) runFile(ctx context.Context, s *ort.Session, a *ort.Adapter, b tokenize.Batch) ([]float32, error) {
	feeds := map[string]*ort.Tensor{}
	for _, v := range s.Inputs() {
		data, ok := map[string][]int64{"input_ids": b.IDs, "attention_mask": b.Mask, "token_type_ids": b.Types}[v.Name]
		var t *ort.Tensor
		var err error
		if ok {
			t, err = ort.NewTensor([]int{b.Rows, b.Length}, data)
		} else {
			t, err = ort.NewTensor(e.fed[v.Name].Shape, e.fed[v.Name].Data)
		}
		if err != nil {
			return nil, fmt.Errorf("feeding %s: %w", v.Name, err)
		}
		defer t.Close()
		feeds[v.Name] = t
	}
	fetches := map[string]*ort.Tensor{"logits": nil}
	var err error
	if a == nil {
		err = s.RunContext(ctx, feeds, fetches)
	} else {
		err = s.RunAdapted(ctx, a, feeds, fetches)
	}
	if err != nil {
		return nil, err
	}
	defer fetches["logits"].Close()
	return slices.Clone(ort.Data[float32](fetches["logits"])), nil
}
