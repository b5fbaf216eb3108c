package linear

import (
	"fmt"
	"math"

	"metalora/pipeline/fault"
)

// The two ways of retraining.
const (
	NameSR   = "SR"
	NameMeta = "Meta-LoRA"
)

// Results is what the parts of a study found, in the order of the parts.
type Results struct {
	Adapted   []Adapted   `json:"adapted,omitempty"`
	Recovered []Recovered `json:"recovered,omitempty"`
	Fitted    []Fitted    `json:"fitted,omitempty"`
	Rests     []Rest      `json:"rests,omitempty"`
}

// Adapted is a new task learned from a retrained base: one line of one figure under one run.
type Adapted struct {
	Figure string    `json:"figure"` // the key of what varies
	Point  Point     `json:"point"`
	Noise  float64   `json:"noise"`
	Run    int       `json:"run"`
	Method string    `json:"method"`
	Rank   int       `json:"adapter_rank"`
	Base   float64   `json:"base"`   // |A - A*| before the new task
	Steps  []int     `json:"steps"`  // where the error is noted
	Errors []float64 `json:"errors"` // |(W* - W) X|²
}

// Last is the error after the last step.
func (a Adapted) Last() float64 { return a.Errors[len(a.Errors)-1] }

// Recovered is where a retraining ended.
type Recovered struct {
	Point     Point     `json:"point"`
	Noise     float64   `json:"noise"`
	Run       int       `json:"run"`
	Method    string    `json:"method"`
	FromTruth float64   `json:"from_truth"`  // |A - A*|
	FromMid   float64   `json:"from_middle"` // |A - (A* + mean U*U*ᵀ)|
	Singular  []float64 `json:"singular"`    // of A - A*, largest first
}

// Threshold is what a singular value of A - A* has to exceed to count: twice the largest one that noise alone leaves behind,
// about 2 σ sqrt(d / NT) for a d x d matrix fitted to N T samples.
func (r Recovered) Threshold() float64 {
	return 4 * r.Noise * math.Sqrt(float64(r.Point.Dimension)/float64(r.Point.Samples*r.Point.Tasks))
}

// Rank counts the singular values above the threshold.
func (r Recovered) Rank() int { return above(r.Singular, r.Threshold()) }

// Bound is the rank that the theorems give A - A*, at most d: kT for SR (Theorem 1), 2k for Meta-LoRA on two tasks (Theorem 2), 0
// on more (Theorem 3).
func (r Recovered) Bound() int {
	switch {
	case r.Method == NameSR:
		return min(r.Point.Dimension, r.Point.Rank*r.Point.Tasks)
	case r.Point.Tasks == 2:
		return min(r.Point.Dimension, 2*r.Point.Rank)
	}
	return 0
}

// Beyond is the distance to the nearest matrix within that rank of A*.
func (r Recovered) Beyond() float64 {
	sum := 0.0
	for _, v := range r.Singular[r.Bound():] {
		sum += v * v
	}
	return math.Sqrt(sum)
}

// Fitted is a new task learned to the end from n samples.
type Fitted struct {
	Base      string  `json:"base"`
	Point     Point   `json:"point"` // AdaptSamples is n
	Noise     float64 `json:"noise"`
	Run       int     `json:"run"`
	Rank      int     `json:"adapter_rank"`
	Error     float64 `json:"error"` // |(W* - W) X|² / n
	Steps     int     `json:"steps"`
	FromTruth float64 `json:"from_truth"` // |A - A*| of the base
}

// Freedom is the number of free directions of a d x d matrix of rank r: r (2d - r). A least-squares fit with that many leaves an
// error of σ² r (2d - r) / n on its own samples.
func (f Fitted) Freedom() int { return f.Rank * (2*f.Point.Dimension - f.Rank) }

// Expected is that error.
func (f Fitted) Expected() float64 {
	return f.Noise * f.Noise * float64(f.Freedom()) / float64(f.Point.AdaptSamples)
}

// Reachable is the error that is expected from a base off A*: that of the fit, and what the adapter cannot mend of the base.
func (f Fitted) Reachable() float64 { return f.Expected() + f.FromTruth*f.FromTruth }

// Size is k d / n, which the error is proportional to (Corollary of Theorem 3).
func (f Fitted) Size() float64 {
	return float64(f.Point.Rank*f.Point.Dimension) / float64(f.Point.AdaptSamples)
}

// Rest is where one descent on the landscape came to rest.
type Rest struct {
	Case  Case `json:"case"`
	Truth int  `json:"truth"` // number of the draw of U*
	Start int  `json:"start"`
	End
}

// The tolerances by which a rest is judged; all are relative to the landscape's own scale, see [Rest.Kind].
const (
	globalLoss = 1e-12 // of the loss of adapters that are zero
	flat       = 1e-6  // of the largest curvature at the truth: an eigenvalue above -flat is not negative
	visible    = 1e-5  // of |mean U*U*ᵀ|: a smaller singular value of A - A* is none
)

// Kind says what a rest is.
type Kind string

// A rest is a second-order stationary point where it is not moving and not a saddle. The global minimum has a loss of zero.
const (
	Global   Kind = "global minimum"
	Spurious Kind = "spurious minimum"
	Saddle   Kind = "saddle"
	Moving   Kind = "not at rest"
)

// Kind judges a rest.
func (r Rest) Kind() Kind {
	switch {
	case r.Loss <= globalLoss*r.Scale:
		return Global
	case !r.Still || r.underway():
		return Moving
	case r.Smallest < -flat*r.Curvature:
		return Saddle
	}
	return Spurious
}

// underway says whether the gradient that is left accounts for the loss that is left: |gradient|² / 2 eigenvalue is how far a
// valley of that curvature still falls. Such a descent is on its way to a loss of zero, not in a minimum above it.
func (r Rest) underway() bool {
	return r.Smallest > 0 && r.Loss <= 10*r.Gradient*r.Gradient/(2*r.Smallest)
}

// finite fails where a number broke: a rate that is too high makes a descent diverge.
func finite(what string, values ...float64) error {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fault.Numbers(fmt.Errorf("%s: the numbers broke (%v): the rate is too high for these settings", what, v))
		}
	}
	return nil
}
