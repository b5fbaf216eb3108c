package linear

import (
	"gonum.org/v1/gonum/mat"

	"metalora/pipeline/rng"
)

// Point is one setting of the study: sizes of the truth and of what is seen of it.
type Point struct {
	Dimension    int `yaml:"dimension" json:"d"`
	Tasks        int `yaml:"tasks" json:"T"`
	Samples      int `yaml:"samples" json:"N"`             // of each retraining task
	AdaptSamples int `yaml:"adapt_samples" json:"N_adapt"` // of the new task
	Rank         int `yaml:"rank" json:"k"`
}

// Truth is what generates the data: A* [d, d], symmetric, and U* [d, k] of each retraining task and of the new one.
type Truth struct {
	A     *mat.Dense
	Tasks []*mat.Dense
	New   *mat.Dense
}

// NewTruth draws A* = (G + Gᵀ)/2 and all U* from N(0, 1). Truths of one seed are nested: a smaller one is the corner of a larger one,
// has its first tasks and their first columns.
func NewTruth(seed uint64, p Point) Truth {
	g := gaussian(p.Dimension, p.Dimension, 1, func(row int) *rng.Stream { return rng.New(seed, "linear", "A*", row) })
	a := mat.NewDense(p.Dimension, p.Dimension, nil)
	a.Add(g, g.T())
	a.Scale(0.5, a)
	t := Truth{A: a, New: trueAdapter(seed, p, "new")}
	for task := range p.Tasks {
		t.Tasks = append(t.Tasks, trueAdapter(seed, p, task))
	}
	return t
}

func trueAdapter(seed uint64, p Point, task any) *mat.Dense {
	columns := gaussian(p.Rank, p.Dimension, 1, func(column int) *rng.Stream { return rng.New(seed, "linear", "U*", task, column) })
	return mat.DenseCopyOf(columns.T())
}

// gaussian draws a matrix from N(0, deviation²), each row from the start of a stream of its own.
func gaussian(rows, columns int, deviation float64, stream func(row int) *rng.Stream) *mat.Dense {
	m := mat.NewDense(rows, columns, nil)
	for i := range rows {
		s := stream(i)
		for j := range columns {
			m.Set(i, j, deviation*s.Normal())
		}
	}
	return m
}

// start draws an adapter's starting value, [d, columns].
func start(p Point, columns int, deviation float64, s *rng.Stream) *mat.Dense {
	return gaussian(p.Dimension, columns, deviation, func(int) *rng.Stream { return s })
}

// Weights is what a task's samples follow: A* + U Uᵀ.
func (t Truth) Weights(u *mat.Dense) *mat.Dense {
	w := square(u)
	w.Add(w, t.A)
	return w
}

// Middle is A* + mean_t U*_t U*_tᵀ, where standard retraining ends with infinitely many samples (Theorem 1).
func (t Truth) Middle() *mat.Dense {
	m := meanSquare(t.Tasks)
	m.Add(m, t.A)
	return m
}

// square is U Uᵀ.
func square(u *mat.Dense) *mat.Dense {
	var m mat.Dense
	m.Mul(u, u.T())
	return &m
}

// meanSquare is the mean of U Uᵀ.
func meanSquare(us []*mat.Dense) *mat.Dense {
	sum := square(us[0])
	for _, u := range us[1:] {
		sum.Add(sum, square(u))
	}
	sum.Scale(1/float64(len(us)), sum)
	return sum
}

// distance is the Frobenius norm of a - b.
func distance(a, b mat.Matrix) float64 {
	var d mat.Dense
	d.Sub(a, b)
	return d.Norm(2)
}

// singular are the singular values of a - b, largest first.
func singular(a, b mat.Matrix) []float64 {
	var d mat.Dense
	d.Sub(a, b)
	var svd mat.SVD
	if !svd.Factorize(&d, mat.SVDNone) {
		return nil
	}
	return svd.Values(nil)
}

// above counts the values above a threshold.
func above(values []float64, threshold float64) int {
	n := 0
	for _, v := range values {
		if v > threshold {
			n++
		}
	}
	return n
}
