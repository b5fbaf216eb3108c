package train

import (
	"context"
	"fmt"
	"slices"

	"metalora/adapters"
	"metalora/models"
	"metalora/onnx"
	"metalora/onnx/autodiff"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/pipeline/fault"
	"metalora/pipeline/rng"
	"metalora/tokenize"
)

// Turn is one sample: the pairs of a context with each candidate, and which candidate is the true reply.
type Turn struct {
	tokenize.Batch
	Gold           int // the row of the true reply
	Dialogue, Turn int // where it is from
}

// Spec says which graph an engine runs.
type Spec struct {
	Architecture models.Architecture
	Sites        []adapters.Site // where LoRA sits; none: no adapter
	Dropout      models.Dropout
	Mixed        bool // the sites' and the head's weights come as stacks of adapters (see [adapters.Mix])
	LoRADropout  float64
	Trains       Weights // the weights whose gradients are wanted; none: an engine that scores
	Threads      int     // 0: all cores
	Device       ort.Device
	Spin         bool   // see [ort.Options]
	NoKernels    bool   // leaves every operator to ONNX Runtime, where some would be of package kernels
	Profile      string // start of the name of a file with every operator's times, written on Close; empty: none
}

// Engine is one graph on ONNX Runtime. Weights are inputs, so one engine serves every task and every seed.
// It is not safe for concurrent use.
type Engine struct {
	graph     *onnx.Model // as it runs
	session   *ort.Session
	gradients []autodiff.Gradient
	masks     []*mask
	chunk     int                    // about how many tokens a run takes
	packed    bool                   // the graph computes no padding
	sum       string                 // see Sum
	weights   []string               // inputs that are weights
	kernels   string                 // see Kernels
	segments  bool                   // token_type_ids is an input
	dense     map[string]*ort.Tensor // gradient outputs of fixed shape, by output name
	sums      map[string]bool        // gradient outputs that add to the accumulators themselves
}

// unopened is the engine's error over a graph. If that is of a file, so is the error.
func (s *Spec) unopened(err error) error {
	if export, ok := s.Architecture.(*models.Export); ok {
		return fault.Input(fmt.Errorf("%s: opening its graph: %w", export.File(), err))
	}
	return fmt.Errorf("opening the graph: %w", err)
}

// NewEngine builds the graph, differentiates it where something trains, and opens a session on it.
func NewEngine(spec Spec) (*Engine, error) {
	p, err := spec.program()
	if err != nil {
		return nil, err
	}
	e := &Engine{graph: p.graph, gradients: p.gradients, sums: p.sums, chunk: p.chunk, packed: p.packed, dense: map[string]*ort.Tensor{},
		kernels: kernels.None}
	if p.graph != p.plain {
		e.kernels = spec.Kernels()
	}
	if e.sum, err = identify(p.graph, e.chunk); err != nil {
		return nil, fmt.Errorf("opening the graph: %w", err)
	}
	e.session, err = ort.OpenModel(p.graph, ort.Options{Threads: spec.Threads, Device: spec.Device, Spin: spec.Spin, ProfilePrefix: spec.Profile,
		Kernels: p.graph != p.plain})
	if err != nil {
		return nil, spec.unopened(err)
	}
	if err := e.prepare(p.plain, spec); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// prepare sorts the plain graph's inputs into masks and weights and lays out the gradients of fixed shape.
func (e *Engine) prepare(graph *onnx.Model, spec Spec) error {
	packed := map[string]bool{}
	for _, input := range e.graph.Graph.Inputs {
		packed[input.Name] = len(input.Shape) > 0 && input.Shape[0].Name == kernels.Packed
	}
	for _, input := range graph.Graph.Inputs {
		rate := onnx.DropoutRate(graph, input.Name)
		switch {
		case rate > 0:
			m := newMask(input, rate, onnx.DropoutFirst(graph, input.Name))
			m.packed = packed[input.Name]
			e.masks = append(e.masks, m)
		case input.Name == "token_type_ids":
			e.segments = true
		case !slices.Contains([]string{"input_ids", "attention_mask", "targets"}, input.Name):
			e.weights = append(e.weights, input.Name)
		}
	}
	shapes := map[string][]int{}
	for _, p := range spec.Architecture.Parameters() {
		shapes[p.Name] = p.Shape
	}
	for _, s := range spec.Sites {
		shapes[s.Linear+".lora_A.weight"] = []int{s.Rank, s.In}
		shapes[s.Linear+".lora_B.weight"] = []int{s.Out, s.Rank}
	}
	for _, g := range e.gradients {
		if g.IDs != "" || e.sums[g.Output] {
			continue
		}
		shape := shapes[g.Of]
		tensor, err := ort.NewTensor(shape, make([]float32, product(shape)))
		if err != nil {
			return fmt.Errorf("laying out the gradient of %s: %w", g.Of, err)
		}
		e.dense[g.Output] = tensor
	}
	return nil
}

// Flops counts the operations of the matrix products of one run, forward and backward, for rows that are all so long.
func (e *Engine) Flops(rows, length int) (int64, error) {
	return onnx.Flops(e.graph, Shape{rows, length}.sizes())
}

// Graph is the graph as the session has it, operators of package kernels included. It must not be changed.
func (e *Engine) Graph() *onnx.Model { return e.graph }

// Close ends the session.
func (e *Engine) Close() {
	e.session.Close()
	for _, t := range e.dense {
		t.Close()
	}
}

// Score returns logit[1] of every pair of a turn, the score of its candidate.
func (e *Engine) Score(ctx context.Context, turn *Turn, sets ...*Set) ([]float32, error) {
	logits, err := e.Logits(ctx, turn.Batch, sets...)
	if err != nil {
		return nil, err
	}
	scores := make([]float32, turn.Rows)
	labels := len(logits) / turn.Rows
	for i := range scores {
		scores[i] = logits[i*labels+1]
	}
	return scores, nil
}

// Logits runs the forward graph on a batch: [rows, labels], row-major.
func (e *Engine) Logits(ctx context.Context, batch tokenize.Batch, sets ...*Set) ([]float32, error) {
	var logits []float32
	for _, c := range chunks(batch, e.chunk) {
		part, err := e.logits(ctx, c.Batch, sets)
		if err != nil {
			return nil, err
		}
		labels := len(part) / c.Rows
		if logits == nil {
			logits = make([]float32, batch.Rows*labels)
		}
		c.put(logits, part, labels)
	}
	return logits, nil
}

// logits is one run of the forward graph.
func (e *Engine) logits(ctx context.Context, batch tokenize.Batch, sets []*Set) ([]float32, error) {
	f := feeds{}
	defer f.close()
	if err := f.batch(batch, e); err != nil {
		return nil, err
	}
	if err := f.weights(e.weights, sets); err != nil {
		return nil, err
	}
	fetches := map[string]*ort.Tensor{"logits": nil}
	if err := e.session.RunContext(ctx, f.tensors, fetches); err != nil {
		return nil, err
	}
	defer fetches["logits"].Close()
	return slices.Clone(ort.Data[float32](fetches["logits"])), nil
}

// Accumulate runs one turn forward and backward, adds its gradients to those of the weights in sets, and returns its
// share of the batch's loss: the sum of its pairs' cross-entropies over pairs, the number of pairs in the batch.
// dropout is where its masks are drawn from; an engine without dropout does not look at it.
func (e *Engine) Accumulate(ctx context.Context, turn *Turn, pairs int, dropout *rng.Stream, sets ...*Set) (float64, error) {
	all, loss := targets(turn, pairs), 0.0
	for _, c := range chunks(turn.Batch, e.chunk) {
		part, err := e.accumulate(ctx, c.Batch, c.pick(all, len(all)/turn.Rows), dropout, sets)
		if err != nil {
			return 0, err
		}
		loss += part
	}
	return loss, nil
}

// accumulate is one run. It takes targets [rows, labels]: the loss is minus their sum weighted by the logarithms of the softmax.
func (e *Engine) accumulate(ctx context.Context, batch tokenize.Batch, targets []float32, dropout *rng.Stream, sets []*Set) (float64, error) {
	f := feeds{}
	defer f.close()
	if err := f.all(e, batch, targets, dropout, sets); err != nil {
		return 0, err
	}
	fetches := map[string]*ort.Tensor{"loss": nil}
	for _, g := range e.gradients {
		if e.sums[g.Output] { // read and written where the sum lies
			sum, err := find(sets, g.Of).sum()
			if err != nil {
				return 0, err
			}
			f.tensors[kernels.Into(g.Output)], fetches[g.Output] = sum, sum
			continue
		}
		fetches[g.Output] = e.dense[g.Output]
		if _, fed := f.tensors[g.IDs]; g.IDs != "" && !fed {
			fetches[g.IDs] = nil
		}
	}
	if err := e.session.RunContext(ctx, f.tensors, fetches); err != nil {
		return 0, err
	}
	defer e.release(fetches)
	e.add(f.tensors, fetches, sets)
	return float64(ort.Data[float32](fetches["loss"])[0]), nil
}

// release closes what the engine allocated in a run.
func (e *Engine) release(fetches map[string]*ort.Tensor) {
	for name, t := range fetches {
		if e.dense[name] == nil && !e.sums[name] && t != nil {
			t.Close()
		}
	}
}

// add puts those of a run's gradients onto the accumulators that did not add themselves.
func (e *Engine) add(fed, fetched map[string]*ort.Tensor, sets []*Set) {
	var pieces []func()
	for _, g := range e.gradients {
		if e.sums[g.Output] {
			continue
		}
		p := find(sets, g.Of)
		values, sum := ort.Data[float32](fetched[g.Output]), p.gradient()
		if g.IDs != "" {
			ids := fed[g.IDs]
			if ids == nil {
				ids = fetched[g.IDs]
			}
			pieces = append(pieces, func() { addRows(sum, p, values, ort.Data[int64](ids)) })
			continue
		}
		for lo := 0; lo < len(sum); lo += adamChunk {
			hi := min(lo+adamChunk, len(sum))
			pieces = append(pieces, func() { addTo(sum[lo:hi], values[lo:hi]) })
		}
	}
	parallel(pieces)
}

func addTo(sum, values []float32) {
	values = values[:len(sum)]
	for i, x := range values {
		sum[i] += x
	}
}

// addRows adds each row of a table's gradient where its id points, in order; the pad row has no gradient.
func addRows(sum []float32, p *Param, rows []float32, ids []int64) {
	width := p.Shape[1]
	for i, id := range ids {
		if int(id) == p.Pad {
			continue
		}
		at := int(id) * width
		addTo(sum[at:at+width], rows[i*width:(i+1)*width])
	}
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
