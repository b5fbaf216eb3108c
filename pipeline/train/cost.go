package train

import "metalora/onnx"

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
		count, err := onnx.CountWork(p.graph, sizes(c.Rows, c.Length))
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
	graph, _, err := s.graph()
	if err != nil {
		return 0, 0, err
	}
	size := chunkSize(graph)
	for i := range turns {
		real += turns[i].Tokens
		for _, c := range chunks(turns[i].Batch, size) {
			computed += c.Rows * c.Length
		}
	}
	return real, computed, nil
}

// sizes gives a batch's graph symbols their values.
func sizes(rows, length int) map[string]int64 {
	return map[string]int64{"rows": int64(rows), "length": int64(length), "tokens": int64(rows * length)}
}
