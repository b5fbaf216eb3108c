package linear

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"metalora/pipeline/rng"
)

// Moments are all that a squared loss needs of N samples (x, y): its value up to a constant, and all of its derivatives.
type Moments struct {
	N  int
	XX *mat.Dense // X Xᵀ / N [d, d]
	YX *mat.Dense // Y Xᵀ / N [d, d]
}

// Samples are x and y in full, one a column: X, Y [d, N]. Only tests compute with them directly.
type Samples struct{ X, Y *mat.Dense }

// Draw draws x from N(0, I) and y = W x + noise, with a noise of that standard deviation in each coordinate.
func Draw(weights *mat.Dense, n int, noise float64, s *rng.Stream) Samples {
	d, _ := weights.Dims()
	x := mat.NewDense(d, n, nil)
	e := mat.NewDense(d, n, nil)
	for i := range n {
		for _, m := range []*mat.Dense{x, e} {
			for j := range d {
				m.Set(j, i, s.Normal())
			}
		}
	}
	y := mat.NewDense(d, n, nil)
	y.Mul(weights, x)
	e.Scale(noise, e)
	y.Add(y, e)
	return Samples{x, y}
}

// Moments reduces samples to what the losses need.
func (s Samples) Moments() Moments {
	d, n := s.X.Dims()
	m := Moments{N: n, XX: mat.NewDense(d, d, nil), YX: mat.NewDense(d, d, nil)}
	m.XX.Mul(s.X, s.X.T())
	m.YX.Mul(s.Y, s.X.T())
	m.XX.Scale(1/float64(n), m.XX)
	m.YX.Scale(1/float64(n), m.YX)
	return m
}

// pool is the moments of all samples together.
func pool(all []Moments) Moments {
	d, _ := all[0].XX.Dims()
	p := Moments{XX: mat.NewDense(d, d, nil), YX: mat.NewDense(d, d, nil)}
	for _, m := range all {
		p.N += m.N
	}
	var part mat.Dense
	for _, m := range all {
		share := float64(m.N) / float64(p.N)
		part.Scale(share, m.XX)
		p.XX.Add(p.XX, &part)
		part.Scale(share, m.YX)
		p.YX.Add(p.YX, &part)
	}
	return p
}

// residual sets e to (W X - Y) Xᵀ / N = W·XX - YX: the gradient of |W X - Y|² / 2N with respect to W.
func (m Moments) residual(e, w *mat.Dense) {
	e.Mul(w, m.XX)
	e.Sub(e, m.YX)
}

// Error is |(W - truth) X|² over the samples, without noise: the published metric, a sum over samples. It equals
// N tr(D·XX·Dᵀ) of D = W - truth.
func (m Moments) Error(w, truth mat.Matrix) float64 {
	var d, dx mat.Dense
	d.Sub(w, truth)
	dx.Mul(&d, m.XX)
	dx.MulElem(&dx, &d)
	return math.Max(0, float64(m.N)*mat.Sum(&dx))
}
