package train

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"metalora/onnx"
)

// identify sums up what a run of the graph computes: its operators and the shapes of its weights, and how many tokens a run takes,
// which says in what order gradients add up.
func identify(graph *onnx.Model, chunk int) (string, error) {
	data, err := graph.Marshal()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	sum.Write(data)
	fmt.Fprint(sum, chunk)
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// Sum is equal for engines that compute the same in the same order: on the same kind of CPU, with the same library and the same
// [Engine.Kernels], they give the same bits.
func (e *Engine) Sum() string { return e.sum }

// Kernels names the operators of our own that the engine uses, [kernels.None] if it uses none. Bits differ with them.
func (e *Engine) Kernels() string { return e.kernels }
