package linear

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"metalora/pipeline/rng"
)

func lookAt(x Case, seed uint64) (*Landscape, Adapters, Adapters) {
	truth := draw(x, 1, rng.New(seed, "test", "truth"))
	return NewLandscape(truth.Tasks), truth, draw(x, 1, rng.New(seed, "test", "point"))
}

// asRow shows a slice as a matrix that shares it.
func asRow(values []float64) *mat.Dense { return mat.NewDense(1, len(values), values) }

// TestLandscapeAgainstDifferences holds gradient and Hessian against central differences of loss and gradient.
func TestLandscapeAgainstDifferences(t *testing.T) {
	for _, x := range []Case{{4, 2, 1}, {3, 3, 2}} {
		l, _, u := lookAt(x, 1)
		g := l.Zero()
		l.Gradient(g, u)
		equal(t, "gradient", asRow(g.Values), differences(asRow(u.Values), func() float64 { return l.Loss(u) }), 1e-6)
		h := mat.DenseCopyOf(l.Hessian(u))
		n := len(u.Values)
		for i := range n {
			row := differences(asRow(u.Values), func() float64 {
				l.Gradient(g, u)
				return g.Values[i]
			})
			equal(t, "row of the Hessian", row, h.Slice(i, i+1, 0, n), 1e-6)
		}
	}
}

// TestLandscapeIsTheLossLeastOverA: the loss at the A that Base names is the landscape's, and any other A's is larger.
func TestLandscapeIsTheLossLeastOverA(t *testing.T) {
	x := Case{3, 3, 1}
	l, truth, u := lookAt(x, 2)
	joint := func(a *mat.Dense) float64 { // 1/2T sum |A* + U*U*ᵀ - A - UUᵀ|² as a function of A - A*
		sum := 0.0
		for t := range u.Tasks {
			e := square(u.Tasks[t])
			e.Add(e, a)
			d := distance(square(truth.Tasks[t]), e)
			sum += d * d
		}
		return sum / float64(2*x.Tasks)
	}
	best := l.Base(u)
	if got, want := l.Loss(u), joint(best); math.Abs(got-want) > 1e-12*want {
		t.Errorf("landscape %v, loss %v", got, want)
	}
	equal(t, "gradient in A", differences(best, func() float64 { return joint(best) }), mat.NewDense(3, 3, nil), 1e-6)
}

// TestKinds: the truth is a global minimum, zero adapters are a saddle, a steep slope is neither; and near the truth a descent
// comes to rest in it.
func TestKinds(t *testing.T) {
	for _, x := range []Case{{5, 2, 1}, {6, 3, 2}} {
		l, truth, u := lookAt(x, 3)
		still := Descent{Rate: 0.5, Steps: 0, Tolerance: 1e-8}
		for name, c := range map[string]struct {
			at   Adapters
			want Kind
		}{"truth": {truth, Global}, "zero": {l.Zero(), Saddle}, "anywhere": {u, Moving}} {
			if got := (Rest{Case: x, End: still.Run(l, c.at, truth)}).Kind(); got != c.want {
				t.Errorf("%v, %s: %s, want %s", x, name, got, c.want)
			}
		}
		near := draw(x, 0.01, rng.New(3, "test", "near"))
		for i, v := range truth.Values {
			near.Values[i] += v
		}
		end := Descent{Rate: 0.5, Steps: 50000, Tolerance: 1e-8}.Run(l, near, truth)
		if r := (Rest{Case: x, End: end}); r.Kind() != Global || r.Steps == 0 || r.Rank > 2*x.Rank {
			t.Errorf("%v, near the truth: %s, %+v", x, r.Kind(), end)
		}
	}
}

// TestUnderway: a loss that the gradient still accounts for is on its way down; the same loss without a gradient is a minimum.
func TestUnderway(t *testing.T) {
	at := func(loss, gradient float64) Rest {
		return Rest{Case: Case{3, 3, 1}, End: End{Loss: loss, Gradient: gradient, Still: true, Smallest: 1e-4, Scale: 1, Curvature: 1}}
	}
	if got := at(4e-11, 1e-7).Kind(); got != Moving {
		t.Errorf("gradient 1e-7, loss 4e-11: %s", got)
	}
	if got := at(4e-11, 1e-9).Kind(); got != Spurious {
		t.Errorf("gradient 1e-9, loss 4e-11: %s", got)
	}
}

// TestTheorem4: on two tasks no descent ends anywhere but in a global minimum, within rank 2k of A*.
func TestTheorem4(t *testing.T) {
	c := Default()
	c.Landscape.Starts, c.Landscape.Truths = 30, 3
	for truth := range 3 {
		r, err := c.landscapePart(t.Context(), Case{6, 2, 1}, truth)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Rests) != 10 {
			t.Fatalf("%d ends, want 10", len(r.Rests))
		}
		for _, x := range r.Rests {
			if x.Kind() != Global || x.Rank != 2 || x.Smallest < -1e-9 {
				t.Errorf("truth %d, start %d: %s, %+v", truth, x.Start, x.Kind(), x.End)
			}
		}
	}
}

// TestSpuriousMinimumExists (appendix D.2): for one draw of three tasks in three dimensions a descent ends in a minimum that is not
// global: the gradient is zero, the loss is not, and it rises in every direction.
func TestSpuriousMinimumExists(t *testing.T) {
	c := Default()
	c.Landscape.Starts, c.Landscape.Descent.Steps = 40, 100000
	r, err := c.landscapePart(t.Context(), Case{3, 3, 1}, 16)
	if err != nil {
		t.Fatal(err)
	}
	x := r.Rests[1]
	if x.Kind() != Spurious || x.Loss < 1e-6*x.Scale || x.Smallest < 1e-3 || x.FromTruth < 1e-3 {
		t.Errorf("start %d: %s, %+v; want a spurious minimum", x.Start, x.Kind(), x.End)
	}
}
