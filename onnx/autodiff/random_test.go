package autodiff

import (
	"math/rand/v2"
	"testing"

	"metalora/onnx"
)

// FuzzGraphs composes random small graphs of operators that have rules, and holds their gradients against finite
// differences. Each seed is a graph; those listed run with the ordinary tests.
func FuzzGraphs(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		c := testCase{
			name:   "random",
			inputs: of(anything, dims(3, 4), dims(4), dims(3, 1), dims(4, 4), dims()),
			build:  func(b *onnx.Builder, in []string) string { return compose(b, in, rand.New(rand.NewPCG(seed, 1))) },
		}
		c.check(t, forms[1]) // in double: a chain of operators needs the digits
		c.check(t, forms[2])
	})
}

// compose grows a pool of values of shape [3, 4] by operators chosen at random and returns the sum of the last two. Each
// step keeps its values within a few units, so that finite differences stay exact.
func compose(b *onnx.Builder, in []string, r *rand.Rand) string {
	pool := []string{in[0], b.Op("Mul", []string{in[1], in[2]})}
	some := func() string { return pool[r.IntN(len(pool))] }
	for range 3 + r.IntN(8) {
		pool = append(pool, b.Op("Tanh", []string{step(b, in, some, r)}))
	}
	return b.Op("Add", pool[len(pool)-2:])
}

// step applies one operator to values of shape [3, 4].
func step(b *onnx.Builder, in []string, some func() string, r *rand.Rand) string {
	small := []string{in[1], in[2], in[4]}[r.IntN(3)]
	x := some()
	switch r.IntN(14) {
	case 0:
		return b.Op("Add", []string{small, x})
	case 1:
		return b.Op("Sub", []string{x, some()})
	case 2:
		return b.Op("Mul", []string{x, small})
	case 3:
		return b.Op("Div", []string{some(), b.Op("Exp", []string{b.Op("Sin", []string{x})})})
	case 4:
		return b.Op("MatMul", []string{x, in[3]})
	case 5:
		return b.Op("Gemm", []string{x, in[3], in[1]}, onnx.IntAttr("transB", 1), onnx.FloatAttr("alpha", 0.5))
	case 6:
		scores := b.Op("MatMul", []string{x, b.Op("Transpose", []string{some()})})
		return b.Op("MatMul", []string{b.Op("Softmax", []string{scores}), some()})
	case 7:
		return b.Op("Softmax", []string{x}, onnx.IntAttr("axis", r.Int64N(2)))
	case 8:
		return b.Op("Sub", []string{x, b.Op("ReduceMean", []string{x, b.Ints(r.Int64N(2))})})
	case 9:
		both := b.Op("Concat", []string{x, some()}, onnx.IntAttr("axis", 0))
		return b.Op("Slice", []string{both, b.Ints(2), b.Ints(5)})
	case 10:
		return b.Op("Gather", []string{x, b.Ints(2, 0, 2)})
	case 11:
		return b.Op("Reshape", []string{b.Op("Transpose", []string{x}), b.Ints(3, 4)})
	case 12:
		parts := b.Node("", "Split", []string{x, b.Ints(1, 3)}, 2, onnx.IntAttr("axis", 1))
		return b.Op("Concat", []string{parts[1], parts[0]}, onnx.IntAttr("axis", 1))
	default:
		return b.Op("Sqrt", []string{b.Op("Add", []string{b.Op("Mul", []string{x, x}), b.Op("Exp", []string{small})})})
	}
}
