package autodiff

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"metalora/onnx"
)

// differences is the gradient of Σ seed*out by one input, by central differences.
func differences(t *testing.T, s session, feeds map[string]array, in, out string) []float64 {
	t.Helper()
	gradient := make([]float64, len(feeds[in].data))
	for i := range gradient {
		direction := make([]float64, len(gradient))
		direction[i] = 1
		gradient[i] = difference(t, s, feeds, in, out, direction)
	}
	return gradient
}

// difference is the derivative of Σ seed*out by one input along a direction, by central differences of fourth order.
func difference(t *testing.T, s session, feeds map[string]array, in, out string, direction []float64) float64 {
	t.Helper()
	h := 0.02
	if feeds[in].dtype == onnx.Double {
		h = 0.002
	}
	at := func(k float64) float64 {
		x := feeds[in]
		x.data = slices.Clone(x.data)
		for i, d := range direction {
			x.data[i] += k * h * d
		}
		moved := maps.Clone(feeds)
		moved[in] = x
		sum := 0.0
		for j, y := range s.run(t, moved, map[string][]int{out: feeds["seed"].shape})[out].data {
			sum += y * feeds["seed"].data[j]
		}
		return sum
	}
	return (8*(at(1)-at(-1)) - (at(2) - at(-2))) / (12 * h)
}

// compareAlong asks that a gradient agrees with differences along one direction of length 1, with a part of every element: where one is
// wrong, the sum is, by four runs in place of four an element.
func compareAlong(t *testing.T, s session, feeds map[string]array, in, out string, got array) {
	t.Helper()
	x := feeds[in]
	if !slices.Equal(got.shape, x.shape) {
		t.Fatalf("gradient by %s: shape %v, want %v", in, got.shape, x.shape)
	}
	r := rand.New(rand.NewPCG(11, uint64(len(x.data))))
	direction, sum, square := make([]float64, len(x.data)), 0.0, 0.0
	for i := range direction {
		direction[i] = (0.5 + r.Float64()) * float64(1-2*r.IntN(2))
		square += direction[i] * direction[i]
	}
	for i := range direction {
		direction[i] /= math.Sqrt(square)
		sum += got.data[i] * direction[i]
	}
	want := difference(t, s, feeds, in, out, direction)
	compare(t, "gradient along a direction of "+in, array{dims(), []float64{sum}, x.dtype}, []float64{want}, dims(), x.dtype)
}

// compare asks for agreement to 1e-3 of the largest element in float and 1e-6 in double.
func compare(t *testing.T, what string, got array, want []float64, shape []int, dtype onnx.DType) {
	t.Helper()
	if !slices.Equal(got.shape, shape) {
		t.Errorf("%s: shape %v, want %v", what, got.shape, shape)
		return
	}
	tolerance, floor := 1e-3, 0.05
	if dtype == onnx.Double {
		tolerance = 1e-6
	}
	for _, w := range want {
		floor = max(floor, math.Abs(w))
	}
	for i, w := range want {
		if d := math.Abs(got.data[i] - w); !(d <= tolerance*floor) {
			t.Errorf("%s: %v, want %v (differs by %.2g at %d)", what, got.data, want, d, i)
			return
		}
	}
}
