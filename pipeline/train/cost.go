package train

import (
	"metalora/onnx"
	"metalora/onnx/kernels"
	"metalora/tokenize"
)

// Cost is the work of runs of an engine, counted from its graph as it runs, operators of package kernels included.
type Cost struct {
	onnx.Count     // over all runs
	Runs       int // of the engine
}

// Cost counts what an engine of the spec does for a turn, without running it.
func (s Spec) Cost(turn *Turn) (Cost, error) {
	p, err := s.program()
	if err != nil {
		return Cost{}, err
	}
	total := Cost{}
	for _, c := range chunks(turn.Batch, p.chunk) {
		count, err := onnx.CountWork(p.graph, batchSizes(c.Batch))
		if err != nil {
			return Cost{}, err
		}
		total.Count = total.Count.Add(count)
		total.Runs++
	}
	return total, nil
}

// Tokens counts the turns' real tokens and those that an engine of the spec computes for them, padding included.
func (s Spec) Tokens(turns []Turn) (real, computed int, err error) {
	p, err := s.program()
	if err != nil {
		return 0, 0, err
	}
	for i := range turns {
		real += turns[i].Tokens
		for _, c := range chunks(turns[i].Batch, p.chunk) {
			if p.packed {
				tokens, _ := packed(c.Batch)
				computed += len(tokens)
			} else {
				computed += c.Rows * c.Length
			}
		}
	}
	return real, computed, nil
}

// batchSizes gives a graph's symbols their values for a batch.
func batchSizes(b tokenize.Batch) map[string]int64 {
	sizes := Shape{b.Rows, b.Length}.sizes()
	tokens, _ := packed(b)
	sizes[kernels.Packed] = int64(len(tokens))
	return sizes
}

// sizes gives a graph's symbols their values for a batch without padding.
func (s Shape) sizes() map[string]int64 {
	rows, length := int64(s.Rows), int64(s.Length)
	return map[string]int64{"rows": rows, "length": length, "tokens": rows * length, kernels.Packed: rows * length}
}
