package linear

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Retrain is how both methods retrain.
type Retrain struct {
	Steps      int     `yaml:"steps"`       // on A
	InnerSteps int     `yaml:"inner_steps"` // on all U_t before each step on A (Meta-LoRA)
	Rate       float64 `yaml:"rate"`        // of A
	InnerRate  float64 `yaml:"inner_rate"`  // of U_t
}

// SR is standard retraining: gradient descent on A alone over the pooled samples of all tasks, from A = 0:
//
//	min over A of  1/(2NT) sum_t |A X_t - Y_t|²
func SR(tasks []Moments, r Retrain) *mat.Dense {
	all := pool(tasks)
	d, _ := all.XX.Dims()
	a, e := mat.NewDense(d, d, nil), mat.NewDense(d, d, nil)
	for range r.Steps {
		all.residual(e, a)
		descend(a, e, r.Rate)
	}
	return a
}

// MetaLoRA is meta-retraining with a symmetric adapter for each task, thrown away afterwards:
//
//	min over A, {U_t} of  1/(2NT) sum_t |(A + U_t U_tᵀ) X_t - Y_t|²
//
// by steps on all U_t in turn with a step on A, from A = 0 and the given U_t [d, k], which it moves. An inner step takes the
// gradient of one task's own mean, 1/(2N), as published.
func MetaLoRA(tasks []Moments, us []*mat.Dense, r Retrain) *mat.Dense {
	d, k := us[0].Dims()
	a, e, sum := mat.NewDense(d, d, nil), mat.NewDense(d, d, nil), mat.NewDense(d, d, nil)
	g := newGradient(d, k)
	for range r.Steps {
		for t, u := range us {
			for range r.InnerSteps {
				g.symmetric(tasks[t], a, u)
				descend(u, g.u, r.InnerRate)
			}
		}
		sum.Zero()
		for t, u := range us {
			g.w.Mul(u, u.T())
			g.w.Add(g.w, a)
			tasks[t].residual(e, g.w)
			sum.Add(sum, e)
		}
		descend(a, sum, r.Rate/float64(len(us)))
	}
	return a
}

// descend moves m against g by a rate.
func descend(m, g *mat.Dense, rate float64) {
	to, from := m.RawMatrix().Data, g.RawMatrix().Data
	for i, v := range from {
		to[i] -= rate * v
	}
}

// gradient holds what a step computes, so that steps allocate nothing.
type gradient struct {
	w, e *mat.Dense // [d, d]
	u, v *mat.Dense // [d, k]
}

func newGradient(d, k int) *gradient {
	return &gradient{mat.NewDense(d, d, nil), mat.NewDense(d, d, nil), mat.NewDense(d, k, nil), mat.NewDense(d, k, nil)}
}

// norm is that of the gradients of U and V together.
func (g *gradient) norm() float64 {
	return math.Hypot(floats.Norm(g.u.RawMatrix().Data, 2), floats.Norm(g.v.RawMatrix().Data, 2))
}

// symmetric sets u to the gradient of |(A + U Uᵀ) X - Y|² / 2N with respect to U: (E + Eᵀ) U, where E is the residual.
func (g *gradient) symmetric(m Moments, a, u *mat.Dense) {
	g.w.Mul(u, u.T())
	g.w.Add(g.w, a)
	m.residual(g.e, g.w)
	g.u.Mul(g.e, u)
	g.v.Mul(g.e.T(), u)
	g.u.Add(g.u, g.v)
}

// asymmetric sets w to A + U Vᵀ, and u and v to the gradients of |(A + U Vᵀ) X - Y|² / 2N: E V and Eᵀ U.
func (g *gradient) asymmetric(m Moments, a, u, v *mat.Dense) {
	g.w.Mul(u, v.T())
	g.w.Add(g.w, a)
	m.residual(g.e, g.w)
	g.u.Mul(g.e, v)
	g.v.Mul(g.e.T(), u)
}
