package train

import (
	"fmt"
	"strings"

	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/pipeline/rng"
	"metalora/tokenize"
)

// feeds collects the inputs of one run; those made for it alone are closed after it.
type feeds struct {
	tensors map[string]*ort.Tensor
	owned   []*ort.Tensor
}

func (f *feeds) close() {
	for _, t := range f.owned {
		t.Close()
	}
}

// all feeds everything that a training graph reads.
func (f *feeds) all(e *Engine, batch tokenize.Batch, targets []float32, dropout *rng.Stream, sets []*Set) error {
	if err := f.batch(batch, e); err != nil {
		return err
	}
	if err := f.weights(e.weights, sets); err != nil {
		return err
	}
	if err := put(f, "targets", []int{batch.Rows, len(targets) / batch.Rows}, targets); err != nil {
		return err
	}
	return f.masks(e.masks, batch, dropout)
}

func (f *feeds) batch(b tokenize.Batch, e *Engine) error {
	f.tensors = map[string]*ort.Tensor{}
	shape := []int{b.Rows, b.Length}
	if err := put(f, "input_ids", shape, b.IDs); err != nil {
		return err
	}
	if e.segments {
		if err := put(f, "token_type_ids", shape, b.Types); err != nil {
			return err
		}
	}
	if err := put(f, "attention_mask", shape, b.Mask); err != nil || !e.packed {
		return err
	}
	tokens, starts := packed(b)
	if err := put(f, kernels.Tokens, []int{len(tokens)}, tokens); err != nil {
		return err
	}
	return put(f, kernels.Starts, []int{len(starts)}, starts)
}

// packed lists the places of a batch that are no padding, row after row, and for each row how many come before it.
func packed(b tokenize.Batch) (tokens, starts []int64) {
	tokens, starts = make([]int64, 0, b.Rows*b.Length), make([]int64, 0, b.Rows)
	for row := range b.Rows {
		starts = append(starts, int64(len(tokens)))
		for i := range b.RowLength(row) {
			tokens = append(tokens, int64(row*b.Length+i))
		}
	}
	return tokens, starts
}

// targets [rows, 2] make the loss the mean over all pairs of the batch: one-hot labels, each over the number of pairs.
func targets(turn *Turn, pairs int) []float32 {
	share := 1 / float32(pairs)
	targets := make([]float32, 2*turn.Rows)
	for row := range turn.Rows {
		targets[2*row] = share
	}
	targets[2*turn.Gold], targets[2*turn.Gold+1] = 0, share
	return targets
}

func (f *feeds) weights(names []string, sets []*Set) error {
	for _, name := range names {
		p := find(sets, name)
		if p == nil {
			return fmt.Errorf("feeding the graph: no weight %s", name)
		}
		f.tensors[name] = p.tensor
	}
	return nil
}

func (f *feeds) masks(masks []*mask, b tokenize.Batch, dropout *rng.Stream) error {
	if len(masks) == 0 {
		return nil
	}
	key := dropout.Uint64()
	pieces := make([]func(), len(masks))
	for i, m := range masks {
		m.resize(b)
		pieces[i] = func() { m.draw(b, rng.New(key, i)) }
	}
	parallel(pieces)
	for _, m := range masks {
		tensor, err := ort.NewBools(m.shape, m.data)
		if err := f.own(m.input, tensor, err); err != nil {
			return err
		}
	}
	return nil
}

func put[T ort.Element](f *feeds, name string, shape []int, data []T) error {
	tensor, err := ort.NewTensor(shape, data)
	return f.own(name, tensor, err)
}

// own feeds a tensor that is closed after the run.
func (f *feeds) own(name string, tensor *ort.Tensor, err error) error {
	if err != nil {
		return fmt.Errorf("feeding %s: %w", name, err)
	}
	f.tensors[name] = tensor
	f.owned = append(f.owned, tensor)
	return nil
}

// mask is one dropout site of a graph.
type mask struct {
	input  string
	dims   onnx.Shape
	first  int // the axis after which a token's own elements stand, where the graph computes first tokens alone; else -1
	octets *octets

	packed bool // the graph takes no padding here

	shape   []int
	data    []uint8 // grows to the largest turn and stays
	one, of int     // the mask has the first one of every of elements of that for all tokens
}

func newMask(input onnx.ValueInfo, rate float64, first int) *mask {
	return &mask{input: input.Name, dims: input.Shape, first: first, octets: newOctets(rate)}
}

// resize fits the mask to a batch: the graph's symbols are its rows, its length and products of both.
func (m *mask) resize(b tokenize.Batch) {
	sizes := map[string]int{"rows": b.Rows, "length": b.Length, "tokens": b.Rows * b.Length}
	m.shape = m.shape[:0]
	for _, d := range m.dims {
		size := int(d.Size)
		if size < 0 {
			size = 1
			for factor := range strings.SplitSeq(d.Name, "*") {
				size *= sizes[factor]
			}
		}
		m.shape = append(m.shape, size)
	}
	if m.packed {
		m.shape[0] = 0
		for row := range b.Rows {
			m.shape[0] += b.RowLength(row)
		}
	}
	n := product(m.shape)
	if cap(m.data) < n {
		m.data = make([]uint8, n)
	}
	m.data = m.data[:n]
	m.one, m.of = n, n
	if m.first >= 0 {
		m.one = product(m.shape[m.first+1:])
		m.of = m.one * b.Length
	}
}

// draw draws a mask that fits the batch. Where the graph takes no padding the mask is what the mask of all places has for tokens,
// so that the same elements are dropped as where padding is computed.
func (m *mask) draw(b tokenize.Batch, s *rng.Stream) {
	if !m.packed {
		m.octets.fill(m.data, m.one, m.of, s)
		return
	}
	width, left, draws := product(m.shape[1:]), m.data, s.Bytes()
	for row := range b.Rows {
		n := b.RowLength(row) * width
		m.octets.draw(left[:n], row*b.Length*width, draws, s)
		left = left[n:]
	}
}
