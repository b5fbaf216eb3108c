package autodiff

import "metalora/onnx"

// y = x + z: dx = dy, dz = dy. So are Sum, Identity, Expand and inference's Dropout.
func pass(_ *builder, _ *onnx.Node, dy value, _ int) value { return dy }

func add(b *builder, n *onnx.Node, dy value, i int) value { return pass(b, n, dy, i) }

// y = x - z: dx = dy, dz = -dy.
func sub(b *builder, _ *onnx.Node, dy value, i int) value {
	if i == 0 {
		return dy
	}
	return b.neg(dy)
}

// y = x*z: dx = dy*z. A z that was made of a mask of booleans is made of it again: z has four times its size, and would
// otherwise stay in memory until here.
func mul(b *builder, n *onnx.Node, dy value, i int) value {
	z := n.Input(1 - i)
	if again := b.ofMask(z); again != "" {
		return b.mul(dy, again)
	}
	return b.mul(dy, z)
}

// ofMask computes z once more if it is a mask of booleans cast to numbers, scaled or not, as dropout has it; else it is
// empty. The detour by bytes keeps ONNX Runtime from finding that z is there already.
func (b *builder) ofMask(z value) value {
	n := b.producers[z]
	switch {
	case n == nil || n.Domain != "":
	case n.Op == "Cast" && b.info[n.Input(0)].Type == onnx.Bool:
		return b.cast(b.cast(n.Input(0), onnx.Uint8), b.typeOf(z))
	case n.Op == "Mul":
		if _, isNumber := b.number(n.Input(1)); isNumber {
			if mask := b.ofMask(n.Input(0)); mask != "" {
				return b.mul(mask, n.Input(1))
			}
		}
	}
	return ""
}

// y = x/z: dx = dy/z, dz = -y*dy/z.
func div(b *builder, n *onnx.Node, dy value, i int) value {
	dx := b.div(dy, n.Input(1))
	if i == 0 {
		return dx
	}
	return b.neg(b.mul(dx, n.Output(0)))
}

// y = x - k*z with k = x/z rounded to a whole number, towards zero for floats: dx = dy, dz = -k*dy.
func mod(b *builder, n *onnx.Node, dy value, i int) value {
	if i == 0 {
		return dy
	}
	k := b.op("Round", b.div(b.sub(n.Output(0), n.Input(0)), n.Input(1)))
	return b.mul(dy, k)
}

// y = x^p: dx = dy*p*x^(p-1), zero for p = 0; dp = dy*y*log(x), zero where x is not positive. The exponent may be of
// another type than x.
func pow(b *builder, n *onnx.Node, dy value, i int) value {
	x, p, y := n.Input(0), n.Input(1), n.Output(0)
	if i == 1 {
		dp := b.mul(dy, b.mul(y, b.op("Log", x)))
		return b.likeType(b.only(b.greater(x, b.num(0)), dp), p)
	}
	if k, ok := b.number(p); ok {
		return powConstant(b, x, y, dy, k)
	}
	p = b.likeType(p, x)
	slope := b.mul(p, b.pow(x, b.sub(p, b.num(1))))
	return b.mul(dy, b.where(b.equal(p, b.num(0)), b.num(0), slope))
}

// powConstant is pow for a plain number as exponent: the usual ones need no Pow.
func powConstant(b *builder, x, y, dy value, k float64) value {
	switch k {
	case 0:
		return b.mul(dy, b.num(0))
	case 0.5:
		return b.div(b.times(dy, 0.5), y)
	case 1:
		return dy
	case 2:
		return b.mul(dy, b.times(x, 2))
	case 3:
		return b.mul(dy, b.times(b.square(x), 3))
	}
	return b.mul(dy, b.times(b.pow(x, b.num(k-1)), k))
}

// y = max(x1, x2, ...): dx = dy where x is the largest; equals share it. So is min.
func extreme(b *builder, n *onnx.Node, dy value, i int) value {
	var winners value
	for _, x := range n.Inputs {
		wins := b.cast(b.equal(x, n.Output(0)), b.typeOf(n.Output(0)))
		if winners == "" {
			winners = wins
		} else {
			winners = b.add(winners, wins)
		}
	}
	return b.only(b.equal(n.Input(i), n.Output(0)), b.div(dy, winners))
}

// y = mean(x1, ..., xk): dx = dy/k.
func mean(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.times(dy, 1/float64(len(n.Inputs)))
}

// y = x where c, else z: dx = dy where c, dz = dy where not c.
func where(b *builder, n *onnx.Node, dy value, i int) value {
	if i == 1 {
		return b.only(n.Input(0), dy)
	}
	return b.where(n.Input(0), b.num(0), dy)
}

// y = min(max(x, low), high): dx = dy where low <= x <= high; the bound that is passed takes dy elsewhere, of bounds that
// cross the high one everywhere.
func clip(b *builder, n *onnx.Node, dy value, i int) value {
	x, low, high := n.Input(0), n.Input(1), n.Input(2)
	switch {
	case i == 1 && high == "":
		return b.only(b.less(x, low), dy)
	case i == 1:
		return b.only(b.less(x, low), b.where(b.greater(low, high), b.num(0), dy))
	case i == 2 && low == "":
		return b.only(b.greater(x, high), dy)
	case i == 2:
		return b.only(b.op("Or", b.greater(x, high), b.greater(low, high)), dy)
	}
	if low != "" {
		dy = b.where(b.less(x, low), b.num(0), dy)
	}
	if high != "" {
		dy = b.where(b.greater(x, high), b.num(0), dy)
	}
	return dy
}

// y = x for x > 0, else s*x: dx = dy, else s*dy; ds = 0, else x*dy.
func prelu(b *builder, n *onnx.Node, dy value, i int) value {
	x, s := n.Input(0), n.Input(1)
	positive := b.greater(x, b.num(0))
	if i == 1 {
		return b.where(positive, b.num(0), b.mul(dy, x))
	}
	return b.where(positive, dy, b.mul(dy, s))
}

// y = -x: dx = -dy.
func neg(b *builder, _ *onnx.Node, dy value, _ int) value { return b.neg(dy) }

// y = |x|: dx = dy*sign(x).
func abs(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.mul(dy, b.op("Sign", n.Input(0)))
}

// y = √x: dx = dy/(2y).
func sqrt(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.div(b.times(dy, 0.5), n.Output(0))
}

// y = 1/x: dx = -dy*y².
func reciprocal(b *builder, n *onnx.Node, dy value, _ int) value {
	return b.neg(b.mul(dy, b.square(n.Output(0))))
}

// y = exp(x): dx = dy*y.
func exp(b *builder, n *onnx.Node, dy value, _ int) value { return b.mul(dy, n.Output(0)) }

// y = log(x): dx = dy/x.
func log(b *builder, n *onnx.Node, dy value, _ int) value { return b.div(dy, n.Input(0)) }

// y is x in another float type: dx is dy in x's.
func cast(b *builder, n *onnx.Node, dy value, _ int) value { return b.cast(dy, b.typeOf(n.Input(0))) }

// drops finds a Dropout that draws a mask. Masks that a gradient is taken through must be inputs.
func drops(b *builder, n *onnx.Node) string {
	if n.Input(2) == "" {
		return ""
	}
	if training, known := b.size(n.Input(2)); known && training == 0 {
		return ""
	}
	return "in training mode it draws its own mask"
}
