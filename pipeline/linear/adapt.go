package linear

import (
	"gonum.org/v1/gonum/mat"
)

// AdaptDescent is how far gradient descent goes. A tolerance of 0 takes every step.
type AdaptDescent struct {
	Rate      float64
	Steps     int
	Tolerance float64
}

// Adapt learns a new task by LoRA on a frozen A: gradient descent on U and V, which it moves, with both gradients taken at
// the same point:
//
//	min over U, V of  1/(2n) |(A + U Vᵀ) X - Y|²
//
// It ends after so many steps, or once the gradient's norm is below the tolerance. seen is called with the adapted weights before
// the first step and after each; it must not keep them.
func Adapt(a *mat.Dense, m Moments, u, v *mat.Dense, d AdaptDescent, seen func(step int, w *mat.Dense)) {
	g := newGradient(u.Dims())
	for step := 0; ; step++ {
		g.asymmetric(m, a, u, v)
		seen(step, g.w)
		if step == d.Steps || d.Tolerance > 0 && g.norm() < d.Tolerance {
			return
		}
		descend(u, g.u, d.Rate)
		descend(v, g.v, d.Rate)
	}
}
