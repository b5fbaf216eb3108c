package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"metalora/onnx/kernels"
	"metalora/onnx/ort"
)

// TestBrokenNumbers: what is no number in a chain is none with the operators either, in all the same places, so that a training
// that breaks is seen; an infinite number breaks nothing that it leaves whole in the chain.
func TestBrokenNumbers(t *testing.T) {
	skipWithout(t)
	r := rand.New(rand.NewPCG(13, 14))
	for _, c := range chains {
		for _, broken := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e20, -1e20} {
			t.Run(fmt.Sprint(c.name, broken), func(t *testing.T) {
				m := c.model(t, 2, false)
				in := feeds(r, t, m, []int{5, 40})
				ort.Data[float32](in["x"])[57] = float32(broken)
				want := outputs(t, m, opened(t, m, ort.Options{Threads: 1}), in)
				got := outputs(t, m, opened(t, kernels.Lower(m), ort.Options{Threads: 1, Kernels: true}), in)
				for name := range want {
					for i, v := range want[name] {
						if whole, ours := finite(v), finite(got[name][i]); whole && !ours || math.IsNaN(broken) && whole != ours {
							t.Errorf("%s[%d] is %v, want %v", name, i, got[name][i], v)
						}
					}
				}
			})
		}
	}
}

func finite(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }
