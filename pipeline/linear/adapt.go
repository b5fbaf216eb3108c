package linear

import (
	"gonum.org/v1/gonum/mat"
)

// Adapt learns a new task by LoRA on a frozen A: gradient descent on U and V, which it moves, with both gradients taken at
// the same point:
//
//	min over U, V of  1/(2n) |(A + U Vᵀ) X - Y|²
//
// seen is called with the adapted weights before the first step and after each; it must not keep them.
func Adapt(a *mat.Dense, m Moments, u, v *mat.Dense, rate float64, steps int, seen func(step int, w *mat.Dense)) {
	g := newGradient(u.Dims())
	for step := 0; ; step++ {
		g.asymmetric(m, a, u, v)
		seen(step, g.w)
		if step == steps {
			return
		}
		descend(u, g.u, rate)
		descend(v, g.v, rate)
	}
}
