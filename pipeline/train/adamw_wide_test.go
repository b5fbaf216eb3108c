package train

import (
	"slices"
	"testing"

	"metalora/pipeline/rng"
)

// TestWideUpdateHasTheSameBits: several weights at a time get what each gets alone, whatever the number of weights.
func TestWideUpdateHasTheSameBits(t *testing.T) {
	k := DefaultAdamW.coefficients(3, 5e-4)
	for _, n := range []int{0, 1, 7, 8, 9, 1000, 1003} {
		s := rng.New(1, n)
		draw := func(square bool) (x []float32) {
			for range n {
				value := s.Normal()
				if square {
					value *= value
				}
				x = append(x, float32(value*1e-3))
			}
			return x
		}
		got := [4][]float32{draw(false), draw(false), draw(false), draw(true)}
		var want [4][]float32
		for i, x := range got {
			want[i] = slices.Clone(x)
		}
		k.update(got[0], got[1], got[2], got[3])
		k.each(want[0], want[1], want[2], want[3])
		for i, name := range []string{"weights", "gradients", "first moments", "second moments"} {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("%d %s: %v, want %v", n, name, got[i], want[i])
			}
		}
	}
}
