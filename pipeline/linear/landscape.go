package linear

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Landscape is Meta-LoRA's loss with infinitely many samples, as a function of the adapters alone. Samples of unit covariance
// turn the loss of A and {U_t} into 1/(2T) sum_t |A* + U*_t U*_tᵀ - A - U_t U_tᵀ|². It is least over A at
// A* - mean_t G_t with G_t = U_t U_tᵀ - U*_t U*_tᵀ, which leaves
//
//	L(U) = 1/(2T) sum_t |R_t|²,  R_t = G_t - mean_s G_s.
//
// As the loss is strictly convex in A, its second-order stationary points are those of L: the gradient of one vanishes where
// that of the other does, and the Hessian of L is the Schur complement of the positive block of A.
type Landscape struct {
	d, k, tasks int
	truth       []*mat.Dense // U*_t U*_tᵀ [d, d]
	residual    []*mat.Dense // R_t of the point that was last looked at
	mean        *mat.Dense
}

// NewLandscape is the loss for those true adapters, each [d, k].
func NewLandscape(adapters []*mat.Dense) *Landscape {
	d, k := adapters[0].Dims()
	l := &Landscape{d: d, k: k, tasks: len(adapters), mean: mat.NewDense(d, d, nil)}
	for _, u := range adapters {
		l.truth = append(l.truth, square(u))
		l.residual = append(l.residual, mat.NewDense(d, d, nil))
	}
	return l
}

// Adapters are all U_t [d, k] and, behind each other, their numbers.
type Adapters struct {
	Tasks  []*mat.Dense
	Values []float64
}

// NewAdapters makes adapters that are zero.
func NewAdapters(tasks, d, k int) Adapters {
	a := Adapters{Values: make([]float64, tasks*d*k)}
	for t := range tasks {
		a.Tasks = append(a.Tasks, mat.NewDense(d, k, a.Values[t*d*k:(t+1)*d*k]))
	}
	return a
}

// Zero makes the landscape's adapters, all zero.
func (l *Landscape) Zero() Adapters { return NewAdapters(l.tasks, l.d, l.k) }

// look computes the residuals at a point.
func (l *Landscape) look(u Adapters) {
	for t, r := range l.residual {
		r.Mul(u.Tasks[t], u.Tasks[t].T())
		r.Sub(r, l.truth[t])
	}
	l.centre(l.residual)
}

// centre takes their mean from matrices.
func (l *Landscape) centre(ms []*mat.Dense) {
	mean := l.mean.RawMatrix().Data
	clear(mean)
	for _, m := range ms {
		floats.Add(mean, m.RawMatrix().Data)
	}
	floats.Scale(1/float64(len(ms)), mean)
	for _, m := range ms {
		floats.Sub(m.RawMatrix().Data, mean)
	}
}

// Loss is L(U).
func (l *Landscape) Loss(u Adapters) float64 {
	l.look(u)
	sum := 0.0
	for _, r := range l.residual {
		n := r.Norm(2)
		sum += n * n
	}
	return sum / float64(2*l.tasks)
}

// Gradient sets g to that of L: 2/T R_t U_t for task t.
func (l *Landscape) Gradient(g, u Adapters) {
	l.look(u)
	for t, r := range l.residual {
		g.Tasks[t].Mul(r, u.Tasks[t])
	}
	floats.Scale(2/float64(l.tasks), g.Values)
}

// Hessian is L's second derivative at a point [T d k, T d k], in the order of the adapters' numbers. Along a
// direction V its product is 2/T (P_t U_t + R_t V_t), where P_t is what R_t changes by: V_t U_tᵀ + U_t V_tᵀ less its mean over tasks.
func (l *Landscape) Hessian(u Adapters) *mat.SymDense {
	l.look(u)
	h := mat.NewSymDense(len(u.Values), nil)
	v, hv := l.Zero(), l.Zero()
	change := make([]*mat.Dense, l.tasks)
	for t := range change {
		change[t] = mat.NewDense(l.d, l.d, nil)
	}
	var product mat.Dense
	for i := range v.Values {
		clear(v.Values)
		v.Values[i] = 1
		for t, p := range change {
			product.Mul(v.Tasks[t], u.Tasks[t].T())
			p.Add(&product, product.T())
		}
		l.centre(change)
		for t, p := range change {
			product.Reset()
			product.Mul(l.residual[t], v.Tasks[t])
			hv.Tasks[t].Mul(p, u.Tasks[t])
			hv.Tasks[t].Add(hv.Tasks[t], &product)
			product.Reset()
		}
		floats.Scale(2/float64(l.tasks), hv.Values)
		for j := range i + 1 {
			h.SetSym(i, j, hv.Values[j])
		}
	}
	return h
}

// extremes are the smallest and the largest eigenvalue of the Hessian at a point; NaN where the decomposition fails.
func (l *Landscape) extremes(u Adapters) [2]float64 {
	var eigen mat.EigenSym
	if !eigen.Factorize(l.Hessian(u), false) {
		return [2]float64{math.NaN(), math.NaN()}
	}
	values := eigen.Values(nil)
	return [2]float64{values[0], values[len(values)-1]}
}

// Base is the A that is best for these adapters, less A*: -mean_t G_t [d, d].
func (l *Landscape) Base(u Adapters) *mat.Dense {
	l.look(u) // leaves the mean of G_t
	var e mat.Dense
	e.Scale(-1, l.mean)
	return &e
}

// End is where a descent came to rest, and the scale of the landscape it is judged by.
type End struct {
	Loss      float64 `json:"loss"`
	Gradient  float64 `json:"gradient"`   // norm
	Still     bool    `json:"still"`      // the gradient reached the tolerance
	Smallest  float64 `json:"eigenvalue"` // of the Hessian, the smallest
	Rank      int     `json:"rank"`       // of A - A*
	FromTruth float64 `json:"from_truth"` // |A - A*|
	Steps     int     `json:"steps"`
	Scale     float64 `json:"scale"`     // loss of adapters that are zero
	Curvature float64 `json:"curvature"` // largest eigenvalue of the Hessian at the truth
}

// Descent is gradient descent on a landscape until the gradient's norm is at most Tolerance, or Steps are done.
type Descent struct {
	Rate      float64 `yaml:"rate"` // times 1 / the largest curvature at the start and at the truth
	Steps     int     `yaml:"steps"`
	Tolerance float64 `yaml:"tolerance"`
}

// Run descends from u, which it moves, and looks around where it ends. truth is U* as a point.
func (d Descent) Run(l *Landscape, u, truth Adapters) End {
	zero, g := l.Zero(), l.Zero()
	e := End{Scale: l.Loss(zero), Curvature: l.extremes(truth)[1]}
	rate := d.Rate / max(e.Curvature, l.extremes(u)[1])
	for l.Gradient(g, u); floats.Norm(g.Values, 2) > d.Tolerance && e.Steps < d.Steps; e.Steps++ {
		floats.AddScaled(u.Values, -rate, g.Values)
		l.Gradient(g, u)
	}
	e.Gradient = floats.Norm(g.Values, 2)
	if math.IsNaN(e.Gradient) {
		return e // it diverged: there is nothing to look at
	}
	e.Still = e.Gradient <= d.Tolerance
	e.Loss, e.Smallest = l.Loss(u), l.extremes(u)[0]
	base := l.Base(u)
	nothing := mat.NewDense(l.d, l.d, nil)
	e.FromTruth = base.Norm(2)
	e.Rank = above(singular(base, nothing), visible*l.Base(zero).Norm(2))
	return e
}
