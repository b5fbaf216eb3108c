package linear

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"metalora/pipeline/rng"
)

var small = Point{Dimension: 4, Tasks: 3, Samples: 30, AdaptSamples: 9, Rank: 2}

// samplesOf draws a task's samples of the small point.
func samplesOf(name string) (Samples, *mat.Dense) {
	truth := NewTruth(7, small)
	w := truth.Weights(truth.New)
	return Draw(w, small.Samples, 0.3, rng.New(7, "test", name)), w
}

func drawn(rows, columns int, name string) *mat.Dense {
	s := rng.New(7, "test", name)
	return gaussian(rows, columns, 1, func(int) *rng.Stream { return s })
}

// squares is |W X - Y|² / 2N, from the samples themselves.
func (s Samples) squares(w mat.Matrix) float64 {
	var e mat.Dense
	e.Mul(w, s.X)
	e.Sub(&e, s.Y)
	_, n := s.X.Dims()
	norm := e.Norm(2)
	return norm * norm / float64(2*n)
}

func equal(t *testing.T, what string, got, want mat.Matrix, tolerance float64) {
	t.Helper()
	if d := distance(got, want); !(d <= tolerance) {
		t.Errorf("%s: distance %.2g, want at most %.0e\n%v\n%v", what, d, tolerance, mat.Formatted(got), mat.Formatted(want))
	}
}

// TestMomentsEqualSamples: gradients and errors from second moments are those of the samples, up to rounding.
func TestMomentsEqualSamples(t *testing.T) {
	s, truth := samplesOf("samples")
	m := s.Moments()
	a, u, v := drawn(4, 4, "a"), drawn(4, 2, "u"), drawn(4, 2, "v")
	g := newGradient(4, 2)

	// The published code's expressions: with e = (A + U Vᵀ) X - Y, the gradients are e Xᵀ V / N and X eᵀ U / N.
	w := mat.NewDense(4, 4, nil)
	w.Mul(u, v.T())
	w.Add(w, a)
	var e, ex, want mat.Dense
	e.Mul(w, s.X)
	e.Sub(&e, s.Y)
	ex.Mul(&e, s.X.T())
	ex.Scale(1/float64(small.Samples), &ex)
	g.asymmetric(m, a, u, v)
	equal(t, "weights", g.w, w, 1e-12)
	want.Mul(&ex, v)
	equal(t, "gradient of U", g.u, &want, 1e-12)
	want.Mul(ex.T(), u)
	equal(t, "gradient of V", g.v, &want, 1e-12)

	var off, clean mat.Dense
	off.Sub(truth, w)
	clean.Mul(&off, s.X)
	norm := clean.Norm(2)
	if got := m.Error(w, truth); math.Abs(got-norm*norm) > 1e-9*norm*norm {
		t.Errorf("error %v, want %v", got, norm*norm)
	}
}

// TestGradientsAgainstDifferences holds all gradients against central differences of the loss over the samples.
func TestGradientsAgainstDifferences(t *testing.T) {
	s, _ := samplesOf("differences")
	m := s.Moments()
	a, u, v := drawn(4, 4, "a"), drawn(4, 2, "u"), drawn(4, 2, "v")
	with := func(u, v *mat.Dense) float64 {
		var w mat.Dense
		w.Mul(u, v.T())
		w.Add(&w, a)
		return s.squares(&w)
	}
	g := newGradient(4, 2)
	g.symmetric(m, a, u)
	equal(t, "symmetric", g.u, differences(u, func() float64 { return with(u, u) }), 1e-7)
	g.asymmetric(m, a, u, v)
	equal(t, "U", g.u, differences(u, func() float64 { return with(u, v) }), 1e-7)
	equal(t, "V", g.v, differences(v, func() float64 { return with(u, v) }), 1e-7)
	e := mat.NewDense(4, 4, nil)
	m.residual(e, a)
	equal(t, "A", e, differences(a, func() float64 { return s.squares(a) }), 1e-7)
}

// differences is the gradient of f with respect to m, which it moves and moves back.
func differences(m *mat.Dense, f func() float64) *mat.Dense {
	const h = 1e-5
	g := mat.DenseCopyOf(m)
	values := m.RawMatrix().Data
	for i, x := range values {
		values[i] = x + h
		up := f()
		values[i] = x - h
		g.RawMatrix().Data[i] = (up - f()) / (2 * h)
		values[i] = x
	}
	return g
}

// TestPool: pooled moments are those of all samples side by side, also of unequally many.
func TestPool(t *testing.T) {
	one, w := samplesOf("one")
	two := Draw(w, 11, 0.3, rng.New(7, "test", "two"))
	var both Samples
	both.X, both.Y = new(mat.Dense), new(mat.Dense)
	both.X.Augment(one.X, two.X)
	both.Y.Augment(one.Y, two.Y)
	got, want := pool([]Moments{one.Moments(), two.Moments()}), both.Moments()
	if got.N != want.N {
		t.Errorf("%d samples, want %d", got.N, want.N)
	}
	equal(t, "XX", got.XX, want.XX, 1e-12)
	equal(t, "YX", got.YX, want.YX, 1e-12)
}

// TestTruthsAreNested: a smaller truth is the corner of a larger one.
func TestTruthsAreNested(t *testing.T) {
	large := NewTruth(3, Point{Dimension: 9, Tasks: 4, Rank: 3})
	part := NewTruth(3, Point{Dimension: 5, Tasks: 2, Rank: 2})
	equal(t, "A*", part.A, large.A.Slice(0, 5, 0, 5), 0)
	equal(t, "U* of the new task", part.New, large.New.Slice(0, 5, 0, 2), 0)
	for i, u := range part.Tasks {
		equal(t, "U*", u, large.Tasks[i].Slice(0, 5, 0, 2), 0)
	}
	equal(t, "A* transposed", large.A.T(), large.A, 0)
	if distance(large.Tasks[0], large.Tasks[1]) < 1 || distance(large.Tasks[0], large.New) < 1 {
		t.Error("two tasks are alike")
	}
}
