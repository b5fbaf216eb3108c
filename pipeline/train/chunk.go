package train

import (
	"slices"

	"metalora/adapters"
	"metalora/onnx"
	"metalora/tokenize"
)

// chunk is the part of a batch that one run of the engine takes.
type chunk struct {
	tokenize.Batch
	rows []int // of the batch
}

const (
	chunkTokens   = 2048    // of a run where a model is wide
	chunkElements = 3 << 20 // of the widest activation of a run where it is narrow: 12 MiB
)

// chunkSize is how many tokens a run of a graph should take. One large turn at a time, an activation is larger than the
// caches, and each of the operators that only pass over it waits for memory; too few tokens, and the operators' fixed cost, the
// packing of weights and the sums of gradients weigh more (measured in docs/profile.md).
func chunkSize(graph *onnx.Model) int {
	widest := 1
	for _, l := range adapters.Linears(graph) {
		widest = max(widest, l.In, l.Out)
	}
	return max(chunkTokens, chunkElements/widest)
}

// chunks parts a batch into runs of about size tokens, padding included. Rows of like length go together, each chunk
// padded to its own longest: the gradient of a sum over rows is the same in any order and any parts but for rounding.
func chunks(b tokenize.Batch, size int) []chunk {
	lengths, total := make([]int, b.Rows), 0
	order := make([]int, b.Rows)
	for row := range b.Rows {
		order[row], lengths[row] = row, b.RowLength(row)
		total += lengths[row]
	}
	parts := (total + size - 1) / size
	if parts <= 1 {
		return []chunk{{b, order}}
	}
	slices.SortStableFunc(order, func(i, j int) int { return lengths[j] - lengths[i] })
	var all []chunk
	for done, passed := 0, 0; done < b.Rows; {
		// The part ends with the row whose middle passes its share of all tokens.
		end := done
		for ; end < b.Rows && (end == done || 2*passed+lengths[order[end]] < 2*total*(len(all)+1)/parts); end++ {
			passed += lengths[order[end]]
		}
		rows := order[done:end]
		all, done = append(all, chunk{b.Pick(rows, lengths[rows[0]]), rows}), end
	}
	return all
}

// pick copies the chunk's rows out of width values a row.
func (c chunk) pick(values []float32, width int) []float32 {
	picked := make([]float32, 0, len(c.rows)*width)
	for _, row := range c.rows {
		picked = append(picked, values[row*width:(row+1)*width]...)
	}
	return picked
}

// put copies width values a row back to where the chunk's rows stand in the batch.
func (c chunk) put(values, of []float32, width int) {
	for i, row := range c.rows {
		copy(values[row*width:(row+1)*width], of[i*width:])
	}
}
