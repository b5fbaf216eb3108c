package autodiff

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"metalora/onnx"
)

var elementwiseCases = map[op][]testCase{
	{"", "Add"}:   pairs("Add", anything, anything),
	{"", "Sub"}:   pairs("Sub", anything, anything),
	{"", "Mul"}:   append(pairs("Mul", anything, anything), masks...),
	{"", "Div"}:   pairs("Div", anything, offZero),
	{"", "Pow"}:   append(pairs("Pow", positive, anything), powers(-1, 0, 0.5, 1, 2, 2.5, 3, 4)...),
	{"", "PRelu"}: inFloat(node("PRelu", nil, input{dims(2, 3), offZero}, input{dims(3), anything}), node("PRelu", nil, input{dims(2, 3), offZero}, input{dims(2, 1), anything})),
	{"", "Min"}:   several("Min"),
	{"", "Max"}:   several("Max"),
	{"", "Sum"}:   several("Sum"),
	{"", "Mean"}:  inFloat(several("Mean")...),

	{"", "Where"}: {
		{name: "of one shape", inputs: of(offZero, dims(2, 3), dims(2, 3)), build: choose},
		{name: "broadcast right", inputs: of(offZero, dims(2, 3), dims(3)), build: choose},
		{name: "broadcast left", inputs: of(offZero, dims(1, 3), dims(2, 1)), build: choose},
		{name: "broadcast condition", inputs: of(offZero, dims(3), dims(2, 1), dims(2, 1, 1)), build: func(b *onnx.Builder, in []string) string {
			return b.Op("Where", []string{b.Op("Not", []string{isPositive(b, in[2])}), in[0], in[1]})
		}},
	},
	{"", "Clip"}: {
		node("Clip", nil, of(grid(0), dims(3, 5))...),
		node("Clip", nil, input{dims(3, 5), grid(0)}, input{dims(), constantly(-0.45)}, input{dims(), constantly(0.55)}),
		node("Clip", nil, input{dims(7), grid(0)}, input{dims(), constantly(-0.45)}),
		{name: "only above", inputs: []input{{dims(7), grid(0)}, {dims(), constantly(0.55)}}, build: func(b *onnx.Builder, in []string) string {
			return b.Op("Clip", []string{in[0], "", in[1]})
		}},
	},

	{"", "Neg"}:        single("Neg", anything),
	{"", "Abs"}:        single("Abs", offZero),
	{"", "Sqrt"}:       single("Sqrt", positive),
	{"", "Reciprocal"}: single("Reciprocal", offZero),
	{"", "Exp"}:        single("Exp", anything),
	{"", "Log"}:        single("Log", positive),
	{"", "Sin"}:        single("Sin", anything),
	{"", "Cos"}:        single("Cos", anything),
	{"", "Tanh"}:       single("Tanh", anything),
	{"", "Sigmoid"}:    single("Sigmoid", anything),
	{"", "Softplus"}:   inFloat(single("Softplus", anything)...),
	{"", "Softsign"}:   inFloat(single("Softsign", offZero)...),
	{"", "Relu"}:       single("Relu", offZero),
	{"", "LeakyRelu"}:  inFloat(append(single("LeakyRelu", offZero), single("LeakyRelu", offZero, onnx.FloatAttr("alpha", 0.3))...)...),
	{"", "Elu"}:        inFloat(append(single("Elu", offZero), single("Elu", offZero, onnx.FloatAttr("alpha", 0.7))...)...),
	{"", "HardSwish"}:  inFloat(single("HardSwish", times(4, grid(0.05)))...),
	{"", "Erf"}:        inFloat(single("Erf", anything)...),
	{"", "Gelu"}:       inFloat(append(single("Gelu", times(2, anything)), single("Gelu", times(2, anything), onnx.StringAttr("approximate", "tanh"))...)...),
	{"", "Identity"}:   single("Identity", anything),
	{"", "Dropout"}: {
		node("Dropout", nil, of(anything, dims(2, 3))...),
		{name: "told to infer", single: true, inputs: of(anything, dims(2, 3)), build: func(b *onnx.Builder, in []string) string {
			no := b.Const(&onnx.Tensor{Type: onnx.Bool, Raw: []byte{0}})
			return b.Node("", "Dropout", []string{in[0], b.Scalar(0.5), no}, 2)[0]
		}},
	},
	{"", "Cast"}: {{name: "there and back", inputs: of(anything, dims(2, 3)), build: func(b *onnx.Builder, in []string) string {
		wide := b.Op("Cast", in, onnx.IntAttr("to", int64(onnx.Double)))
		wide = b.Op("Mul", []string{wide, wide})
		return b.Op("CastLike", []string{wide, in[0]})
	}}},
	{"", "CastLike"}: {{name: "to itself", inputs: of(anything, dims(2, 3), dims(1)), build: func(b *onnx.Builder, in []string) string {
		return b.Op("Mul", []string{b.Op("CastLike", in), in[1]})
	}}},
}

// broadcasts lists shapes that broadcast against each other in every way there is.
var broadcasts = [][2][]int{
	{dims(2, 3), dims(2, 3)}, {dims(2, 3), dims(3)}, {dims(2, 3), dims(2, 1)}, {dims(1, 3), dims(2, 1)}, {dims(), dims(2, 3)},
	{dims(2, 1, 3), dims(5, 1)}, {dims(1), dims()}, {dims(1, 1), dims(1)}, {dims(3), dims(3)},
}

// node is a case of one operator of ONNX's own whose inputs are all inputs of the graph.
func node(name string, attrs []onnx.Attr, in ...input) testCase {
	return nodeOf("", name, attrs, in...)
}

func nodeOf(domain, name string, attrs []onnx.Attr, in ...input) testCase {
	c := testCase{inputs: in, build: func(b *onnx.Builder, in []string) string { return b.Node(domain, name, in, 1, attrs...)[0] }}
	for _, x := range in {
		c.name += fmt.Sprint(x.shape)
	}
	for _, a := range attrs {
		c.name += fmt.Sprintf(" %s=%v%v%v%v", a.Name, a.I, a.F, a.S, a.Ints)
	}
	return c
}

// pairs are the cases of an operator of two inputs that broadcast.
func pairs(name string, left, right func(*rand.Rand, int) float64) []testCase {
	var cs []testCase
	for _, s := range broadcasts {
		cs = append(cs, node(name, nil, input{s[0], left}, input{s[1], right}), node(name, nil, input{s[1], left}, input{s[0], right}))
	}
	return cs
}

// several are the cases of an operator of any number of inputs that broadcast and may have no kernel for double. No two
// inputs come near each other.
func several(name string) []testCase {
	cs := append(pairs(name, grid(0), grid(0.1)), node(name, nil, of(anything, dims(2, 3))...),
		node(name, nil, input{dims(2, 3), grid(0)}, input{dims(3), grid(0.1)}, input{dims(2, 1), grid(0.2)}))
	return cs
}

// single are the cases of an operator of one input.
func single(name string, values func(*rand.Rand, int) float64, attrs ...onnx.Attr) []testCase {
	var cs []testCase
	for _, s := range [][]int{dims(), dims(5), dims(2, 1, 3)} {
		cs = append(cs, node(name, attrs, input{s, values}))
	}
	return cs
}

// powers are cases of Pow whose exponent is a plain number, of float or of integer type.
func powers(exponents ...float64) []testCase {
	var cs []testCase
	for _, k := range exponents {
		cs = append(cs, testCase{name: fmt.Sprintf("to the %g", k), inputs: of(positive, dims(2, 3)), build: func(b *onnx.Builder, in []string) string {
			if k == math.Trunc(k) {
				return b.Op("Pow", []string{in[0], b.Int(int64(k))})
			}
			return b.Op("Pow", []string{in[0], b.Scalar(float32(k))})
		}})
	}
	return append(cs, testCase{name: "to integers", inputs: of(positive, dims(2, 3)), build: func(b *onnx.Builder, in []string) string {
		return b.Op("Pow", []string{in[0], b.Ints(0, 2, -3)})
	}})
}

// masks are cases of Mul by a mask of booleans, bare and scaled.
var masks = []testCase{
	{name: "by itself", inputs: of(anything, dims(2, 3)), build: func(b *onnx.Builder, in []string) string {
		return b.Op("Mul", []string{in[0], in[0]})
	}},
	{name: "by a mask", inputs: of(offZero, dims(2, 3), dims(2, 1)), build: func(b *onnx.Builder, in []string) string {
		mask := b.Op("CastLike", []string{isPositive(b, in[1]), in[0]})
		return b.Op("Mul", []string{b.Op("Mul", []string{in[0], in[1]}), mask})
	}},
	{name: "by a cast mask", single: true, inputs: of(offZero, dims(2, 3)), build: func(b *onnx.Builder, in []string) string {
		mask := b.Op("Cast", []string{isPositive(b, in[0])}, onnx.IntAttr("to", int64(onnx.Float)))
		return b.Op("Mul", []string{mask, in[0]})
	}},
	{name: "by a scaled mask", single: true, inputs: of(offZero, dims(2, 3), dims(3)), build: func(b *onnx.Builder, in []string) string {
		mask := b.Op("Cast", []string{isPositive(b, in[1])}, onnx.IntAttr("to", int64(onnx.Float)))
		return b.Op("Mul", []string{in[0], b.Op("Mul", []string{mask, b.Scalar(1.25)})})
	}},
}

// choose is the first input where it is positive, else the second.
func choose(b *onnx.Builder, in []string) string {
	return b.Op("Where", []string{isPositive(b, in[0]), in[0], in[1]})
}

func isPositive(b *onnx.Builder, x string) string {
	return b.Op("Greater", []string{x, b.Op("Sub", []string{x, x})})
}

// grid gives multiples of 0.3 plus an offset.
func grid(offset float64) func(*rand.Rand, int) float64 {
	return func(r *rand.Rand, _ int) float64 { return 0.3*float64(r.IntN(9)-4) + offset }
}

// constantly gives x.
func constantly(x float64) func(*rand.Rand, int) float64 {
	return func(*rand.Rand, int) float64 { return x }
}

func times(k float64, values func(*rand.Rand, int) float64) func(*rand.Rand, int) float64 {
	return func(r *rand.Rand, i int) float64 { return k * values(r, i) }
}

// Constants in half precision are rounded as IEEE 754 has it.
func TestFloat16(t *testing.T) {
	for _, c := range []struct {
		x    float64
		want uint16
	}{{0, 0}, {1, 0x3c00}, {-2, 0xc000}, {0.5, 0x3800}, {1 / math.Sqrt2, 0x39a8}, {65504, 0x7bff}, {0.044715, 0x29b9}, {2047.7, 0x6800}} {
		if got := float16(c.x); got != c.want {
			t.Errorf("float16(%v) = %#x, want %#x", c.x, got, c.want)
		}
	}
}
