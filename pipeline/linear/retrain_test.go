package linear

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"metalora/pipeline/rng"
)

// retraining draws all tasks' samples and starts of a point.
func retraining(p Point, noise float64) (Truth, []Samples, []Moments, []*mat.Dense) {
	truth := NewTruth(5, p)
	var samples []Samples
	var moments []Moments
	var us []*mat.Dense
	for t, u := range truth.Tasks {
		s := Draw(truth.Weights(u), p.Samples, noise, rng.New(5, "test", "samples", t))
		samples, moments = append(samples, s), append(moments, s.Moments())
		us = append(us, start(p, p.Rank, 0.1, rng.New(5, "test", "start", t)))
	}
	return truth, samples, moments, us
}

// TestMetaLoRAStepByStep repeats the algorithm on the samples themselves, without second moments.
func TestMetaLoRAStepByStep(t *testing.T) {
	r := Retrain{Steps: 40, InnerSteps: 3, Rate: 0.03, InnerRate: 0.01}
	_, samples, moments, us := retraining(small, 0.1)
	var direct []*mat.Dense
	for _, u := range us {
		direct = append(direct, mat.DenseCopyOf(u))
	}
	got := MetaLoRA(moments, us, r)

	a := mat.NewDense(4, 4, nil)
	// residual is ((A + U Uᵀ) X - Y) Xᵀ / N.
	residual := func(s Samples, u *mat.Dense) *mat.Dense {
		var w, e, ex mat.Dense
		w.Mul(u, u.T())
		w.Add(&w, a)
		e.Mul(&w, s.X)
		e.Sub(&e, s.Y)
		ex.Mul(&e, s.X.T())
		ex.Scale(1/float64(small.Samples), &ex)
		return &ex
	}
	for range r.Steps {
		for range r.InnerSteps {
			for i, u := range direct {
				e := residual(samples[i], u)
				var both, g mat.Dense
				both.Add(e, e.T())
				g.Mul(&both, u)
				g.Scale(r.InnerRate, &g)
				u.Sub(u, &g)
			}
		}
		var sum mat.Dense
		sum.CloneFrom(mat.NewDense(4, 4, nil))
		for i, u := range direct {
			sum.Add(&sum, residual(samples[i], u))
		}
		sum.Scale(r.Rate/float64(len(direct)), &sum)
		a.Sub(a, &sum)
	}
	equal(t, "A", got, a, 1e-10)
	for i := range us {
		equal(t, "U", us[i], direct[i], 1e-10)
	}
}

// TestSRIsLeastSquares: gradient descent ends where the normal equations do.
func TestSRIsLeastSquares(t *testing.T) {
	_, _, moments, _ := retraining(small, 0.1)
	got := SR(moments, Retrain{Steps: 5000, Rate: 0.1})
	all := pool(moments)
	var want mat.Dense
	if err := want.Solve(all.XX, all.YX.T()); err != nil {
		t.Fatal(err)
	}
	equal(t, "A", got, want.T(), 1e-9)
}

// TestTheorem1: without noise SR's error has rank kT whatever the samples are, and it nears A* + mean U*U*ᵀ with more of them.
func TestTheorem1(t *testing.T) {
	p := Point{Dimension: 8, Tasks: 3, Rank: 2}
	var last float64
	for i, n := range []int{200, 20000} {
		p.Samples = n
		truth, _, moments, _ := retraining(p, 0)
		a := SR(moments, Retrain{Steps: 2000, Rate: 0.1})
		if values := singular(a, truth.A); above(values, 1e-9) != 6 {
			t.Errorf("N = %d: singular values %.2g, want 6 above zero", n, values)
		}
		far := distance(a, truth.Middle())
		if i > 0 && (far > last/5 || far < last/20) {
			t.Errorf("distance %v at N = 200, %v at N = 20,000: want about a tenth", last, far)
		}
		last = far
	}
}

// TestTheorems2And3: without noise Meta-LoRA fits every task; on three tasks it finds A*, on two a matrix within rank 2k of it
// and not A* itself.
func TestTheorems2And3(t *testing.T) {
	r := Retrain{Steps: 4000, InnerSteps: 5, Rate: 0.05, InnerRate: 0.01}
	for _, tasks := range []int{2, 3} {
		p := Point{Dimension: 8, Tasks: tasks, Samples: 400, Rank: 1}
		truth, _, moments, us := retraining(p, 0)
		a := MetaLoRA(moments, us, r)
		for i, u := range us {
			w := square(u)
			w.Add(w, a)
			equal(t, "a task's weights", w, truth.Weights(truth.Tasks[i]), 1e-3)
		}
		values := singular(a, truth.A)
		switch got := above(values, 1e-3); {
		case tasks == 2 && got != 2:
			t.Errorf("T = 2: singular values of A - A* %.2g, want 2 above zero", values)
		case tasks == 3 && got != 0:
			t.Errorf("T = 3: singular values of A - A* %.2g, want none above zero", values)
		}
	}
}

// TestAdaptLeavesWhatLeastSquaresLeaves: from A* the error of rank-k LoRA is about σ² k (2d - k) / n, the dimension of its tangent
// space.
func TestAdaptLeavesWhatLeastSquaresLeaves(t *testing.T) {
	p := Point{Dimension: 6, AdaptSamples: 2000, Rank: 2}
	truth := NewTruth(1, p)
	w := truth.Weights(truth.New)
	mean := 0.0
	const runs, noise = 20, 0.2
	for run := range runs {
		s := rng.New(1, "test", run)
		m := Draw(w, p.AdaptSamples, noise, s).Moments()
		f := Fitted{Point: p, Noise: noise, Rank: 2}
		Adapt(truth.A, m, start(p, 2, 0.1, s), start(p, 2, 0.1, s), AdaptDescent{0.02, 3000, 0}, func(_ int, w2 *mat.Dense) {
			f.Error = m.Error(w2, w) / float64(m.N)
		})
		mean += f.Error / f.Expected() / runs
	}
	// 20 runs of 20 free directions: the mean of 400 squares has a standard deviation of sqrt(2/400) = 0.07.
	if math.Abs(mean-1) > 0.25 {
		t.Errorf("error / (σ² k (2d - k) / n) is %v on average, want about 1", mean)
	}
}
