package autodiff

import (
	"flag"
	"math/rand/v2"
	"testing"

	"metalora/onnx"
)

// FuzzGraphs composes random small graphs of operators that have rules, and holds their gradients against finite differences. Each
// seed is a graph. Those listed run with the ordinary tests, by every element and in two forms. A fuzzer, which is to see many, looks at
// one form of each, along one direction of each input; nearly all of its time goes into opening sessions of the engine.
func FuzzGraphs(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed)
	}
	searching := flag.Lookup("test.fuzz").Value.String() != ""
	f.Fuzz(func(t *testing.T, seed uint64) {
		c := testCase{
			name:   "random",
			inputs: of(anything, dims(3, 4), dims(4), dims(3, 1), dims(4, 4), dims()),
			opset:  newestOpset - int64(seed%9), // reductions have axes as inputs since 18
			along:  searching,
			build:  func(b *onnx.Builder, in []string) string { return compose(b, in, rand.New(rand.NewPCG(seed, 1))) },
		}
		const double, symbolic = 1, 2 // in double: a chain of operators needs the digits
		if !searching || seed/9%2 == 0 {
			c.check(t, forms[double])
		}
		if !searching || seed/9%2 == 1 {
			c.check(t, forms[symbolic])
		}
	})
}

// composer grows a pool of values of shape [3, 4].
type composer struct {
	*onnx.Builder
	r    *rand.Rand
	in   []string // of shapes [3, 4], [4], [3, 1], [4, 4] and []
	pool []string
}

// compose applies operators chosen at random and returns the sum of the last two values. Each step keeps its values within
// a few units, so that finite differences stay exact.
func compose(b *onnx.Builder, in []string, r *rand.Rand) string {
	c := &composer{b, r, in, []string{in[0], b.Op("Mul", []string{in[1], in[2]})}}
	for range 3 + r.IntN(8) {
		y := steps[r.IntN(len(steps))](c, c.some())
		c.pool = append(c.pool, c.on("Tanh", y))
	}
	return c.on("Add", c.pool[len(c.pool)-2:]...)
}

// on applies an operator without attributes.
func (c *composer) on(op string, in ...string) string { return c.Op(op, in) }

// some is any value so far, small any input that broadcasts to one.
func (c *composer) some() string  { return oneOf(c.r, c.pool) }
func (c *composer) small() string { return oneOf(c.r, []string{c.in[1], c.in[2], c.in[4]}) }

// ids is a constant of indices below n.
func (c *composer) ids(n int, shape ...int64) string {
	count, _ := onnx.Elements(shape)
	ids := make([]int64, count)
	for i := range ids {
		ids[i] = c.r.Int64N(int64(n))
	}
	return c.Const(onnx.Int64s(shape, ids...))
}

// mask is a constant of booleans.
func (c *composer) mask(shape ...int64) string {
	count, _ := onnx.Elements(shape)
	raw := make([]byte, count)
	for i := range raw {
		raw[i] = byte(c.r.IntN(2))
	}
	return c.Const(&onnx.Tensor{Type: onnx.Bool, Dims: shape, Raw: raw})
}

// like is a number in the type of x.
func (c *composer) like(k int64, x string) string { return c.on("CastLike", c.Int(k), x) }

// aboveZero is something positive made of x.
func (c *composer) aboveZero(x string) string { return c.on("Exp", c.on("Sin", x)) }

// steps each apply an operator, or the few that lead back to shape [3, 4]. All are smooth and computed in double.
var steps = []func(c *composer, x string) string{
	func(c *composer, x string) string { return c.on("Add", c.small(), x) },
	func(c *composer, x string) string { return c.on("Sub", x, c.some()) },
	func(c *composer, x string) string { return c.on("Mul", x, c.small()) },
	func(c *composer, x string) string { return c.on("Div", c.some(), c.aboveZero(x)) },
	func(c *composer, x string) string { return c.on("Reciprocal", c.aboveZero(x)) },
	func(c *composer, x string) string { return c.on("Log", c.aboveZero(x)) },
	func(c *composer, x string) string { return c.on("Sigmoid", c.on("Neg", x)) },
	func(c *composer, x string) string { return c.on("Cos", c.on("Identity", x)) },
	func(c *composer, x string) string { return c.on("Pow", x, c.Int(c.r.Int64N(4))) },
	func(c *composer, x string) string { return c.on("Pow", c.aboveZero(x), c.small()) },
	func(c *composer, x string) string {
		return c.on("Sqrt", c.on("Add", c.on("Mul", x, x), c.on("Exp", c.small())))
	},
	func(c *composer, x string) string { return c.on("Where", c.mask(3, 1), x, c.small()) },
	func(c *composer, x string) string { return c.on("Sum", x, c.small(), c.some()) },
	func(c *composer, x string) string { return c.on("Max", x, c.on("Sub", c.some(), c.like(3, x))) }, // of Tanh's range
	func(c *composer, x string) string { return c.on("Clip", x, c.like(-9, x), c.like(9, x)) },

	func(c *composer, x string) string { return c.on("MatMul", x, c.in[3]) },
	func(c *composer, x string) string {
		return c.Op("Gemm", []string{x, c.in[3], c.in[1]}, onnx.IntAttr("transB", 1), onnx.FloatAttr("alpha", 0.5))
	},
	func(c *composer, x string) string {
		scores := c.on("MatMul", x, c.on("Transpose", c.some()))
		return c.on("MatMul", c.on("Softmax", scores), c.some())
	},
	func(c *composer, x string) string {
		return c.Op("Einsum", []string{x, c.in[3], c.some()}, onnx.StringAttr("equation", "ij,jk,ij->ik"))
	},
	func(c *composer, x string) string {
		return c.Op("Softmax", []string{x}, onnx.IntAttr("axis", c.r.Int64N(2)))
	},
	func(c *composer, x string) string {
		return c.Op("LogSoftmax", []string{x}, onnx.IntAttr("axis", c.r.Int64N(2)-2))
	},

	func(c *composer, x string) string {
		op := oneOf(c.r, []string{"ReduceMean", "ReduceSum", "ReduceProd", "ReduceSumSquare", "ReduceLogSumExp"})
		return c.on("Sub", x, c.on(op, x, c.Ints(c.r.Int64N(2))))
	},
	func(c *composer, x string) string {
		norm := c.Op("ReduceL2", []string{c.aboveZero(x)}, onnx.IntAttr("keepdims", 0))
		return c.on("Div", c.some(), norm)
	},
	func(c *composer, x string) string {
		return c.Op("CumSum", []string{x, c.Int(c.r.Int64N(2))}, onnx.IntAttr("reverse", c.r.Int64N(2)), onnx.IntAttr("exclusive", c.r.Int64N(2)))
	},

	func(c *composer, x string) string {
		both := c.Op("Concat", []string{x, c.some()}, onnx.IntAttr("axis", 0))
		return c.on("Slice", both, c.Ints(2), c.Ints(5))
	},
	func(c *composer, x string) string {
		return c.on("Slice", x, c.Ints(-1, 3), c.Ints(-9, -9), c.Ints(0, 1), c.Ints(-1, -1))
	},
	func(c *composer, x string) string { return c.on("Gather", x, c.ids(3, 3)) },
	func(c *composer, x string) string {
		return c.Op("GatherElements", []string{x, c.ids(4, 3, 4)}, onnx.IntAttr("axis", 1))
	},
	func(c *composer, x string) string { return c.on("GatherND", x, c.ids(3, 3, 1)) },
	func(c *composer, x string) string {
		reduction := onnx.StringAttr("reduction", oneOf(c.r, []string{"add", "mul"}))
		return c.Op("ScatterElements", []string{x, c.ids(3, 2, 4), c.on("Slice", c.some(), c.Ints(1), c.Ints(3))}, reduction)
	},
	func(c *composer, x string) string {
		return c.Op("ScatterND", []string{x, c.ids(3, 3, 1), c.some()}, onnx.StringAttr("reduction", "add"))
	},
	func(c *composer, x string) string {
		return c.on("Slice", c.on("Pad", x, c.Ints(1, 2, 0, 1), c.in[4]), c.Ints(0, 1), c.Ints(3, 5))
	},
	func(c *composer, x string) string {
		mode := onnx.StringAttr("mode", oneOf(c.r, []string{"reflect", "edge", "wrap"}))
		return c.on("Slice", c.Op("Pad", []string{x, c.Ints(2, 1, 0, 3)}, mode), c.Ints(1, 3), c.Ints(4, 7))
	},
	func(c *composer, x string) string {
		return c.on("Slice", c.on("Tile", x, c.Ints(2, 2)), c.Ints(2, 3), c.Ints(5, 7))
	},
	func(c *composer, x string) string { return c.on("Trilu", x, c.Int(c.r.Int64N(4)-1)) },
	func(c *composer, x string) string { return c.on("Reshape", c.on("Transpose", x), c.Ints(3, 4)) },
	func(c *composer, x string) string {
		parts := c.Node("", "Split", []string{x, c.Ints(1, 3)}, 2, onnx.IntAttr("axis", 1))
		return c.Op("Concat", []string{parts[1], parts[0]}, onnx.IntAttr("axis", 1))
	},
	func(c *composer, x string) string {
		deep := c.Op("DepthToSpace", []string{c.on("Reshape", x, c.Ints(1, 4, 1, 3))}, onnx.IntAttr("blocksize", 2))
		return c.on("Reshape", deep, c.Ints(3, 4))
	},
	func(c *composer, x string) string {
		return c.Op("ReverseSequence", []string{x, c.Ints(1, 4, 2)}, onnx.IntAttr("batch_axis", 0), onnx.IntAttr("time_axis", 1))
	},
	func(c *composer, x string) string {
		return c.on("Expand", c.on("ReduceMean", x, c.Ints(0)), c.on("Shape", x))
	},
	func(c *composer, x string) string {
		return c.on("Squeeze", c.on("Unsqueeze", c.on("Flatten", x), c.Ints(0, -1)), c.Ints(0, -1))
	},
}
