package autodiff

import (
	"slices"

	"metalora/onnx"
)

// microsoft is the domain of the operators that ONNX Runtime adds, among them those its optimiser fuses others into.
const microsoft = "com.microsoft"

// y = gelu(x + c): dx = dc = dy*gelu'(x + c).
func biasGelu(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(dy, geluSlope(b, b.add(n.Input(0), n.Input(1))))
}

// y = gelu(x + c) in the tanh form, c being optional: dx = dc = dy*gelu'(x + c).
func fastGelu(b *builder, n *onnx.Node, dy value, _ int) value {
	x := n.Input(0)
	if c := n.Input(1); c != "" {
		x = b.add(x, c)
	}
	return b.mul(dy, tanhGeluSlope(b, x))
}

// y = x*s with s = sigmoid(a*x): dx = dy*(s + a*y*(1 - s)).
func quickGelu(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.swish(n, dy, float64(n.Float("alpha", 1.702)))
}

// swish is the same function, of ONNX's own set, with another number where none is given.
func swish(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.swish(n, dy, float64(n.Float("alpha", 1)))
}

func (b *builder) swish(n *onnx.Node, dy value, a float64) value {
	s := b.op("Sigmoid", b.times(n.Input(0), a))
	return b.mul(dy, b.add(s, b.times(b.mul(n.Output(0), b.sub(b.num(1), s)), a)))
}

// y = alpha*A*B where A and B are a and b or their transposes: as MatMul, transposed where they are.
func fusedMatMul(b *builder, n *onnx.Node, dy value, i int) value {
	return product{
		a: n.Input(0), transA: n.Int("transA", 0) != 0,
		b: n.Input(1), transB: n.Int("transB", 0) != 0, alpha: float64(n.Float("alpha", 1)),
	}.gradient(b, n.Output(0), dy, i)
}

// fusesOtherwise finds a FusedMatMul that transposes one factor while the other is a vector: ONNX Runtime 1.30 makes such nodes
// of a Transpose and a MatMul, and computes them as if the factor were reshaped.
func fusesOtherwise(b *builder, n *onnx.Node) string {
	turned := n.Int("transA", 0) != 0 || n.Int("transB", 0) != 0
	for i := range 2 {
		if turned && b.rank(n.Input(i)) == 1 {
			return "the engine computes it wrongly where one factor is transposed and the other a vector"
		}
	}
	return factorUnknown(b, n)
}

// unfusedMatMul is the expansion of a FusedMatMul whose batch dimensions are moved or one of whose factors is a vector. Others
// stay.
func unfusedMatMul(b *builder, n *onnx.Node) []value {
	factors := [2]value{n.Input(0), n.Input(1)}
	plain := true
	if b.rank(n.Input(0)) < 0 {
		return nil // times a matrix
	}
	for i, side := range []string{"A", "B"} {
		v := n.Input(i)
		perm := axesUpTo(b.rank(v))
		plain = plain && len(perm) > 1 && n.Int("transBatch"+side, 0) == 0
		if len(perm) < 2 {
			continue
		}
		if last := len(perm) - 1; n.Int("transBatch"+side, 0) != 0 { // the first axis becomes the matrix's first
			perm = append(append(slices.Clone(perm[1:last]), perm[0]), perm[last])
		}
		if n.Int("trans"+side, 0) != 0 {
			slices.Reverse(perm[len(perm)-2:])
		}
		factors[i] = b.transpose(v, perm)
	}
	if plain {
		return nil
	}
	return []value{b.times(b.matmul(factors[0], factors[1]), float64(n.Float("alpha", 1)))}
}
