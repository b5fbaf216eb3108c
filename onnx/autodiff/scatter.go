package autodiff

import "metalora/onnx"

// y = x in which u was put at ids along an axis. Overwritten: dx = dy, zero there, and du = dy there. Added to: dx = dy,
// du = dy there. Other reductions: see scatter.
func scatterElements(b *builder, n *onnx.Node, dy value, i int) value {
	axis := onnx.IntAttr("axis", n.Int("axis", 0))
	reduction := reductionOf(n)
	switch {
	case reduction != "none" && reduction != "add":
		s := scatter{b, n.Input(1), n.Int("axis", 0), reduction, n.Input(0), n.Input(2), n.Output(0)}
		return s.gradient(dy, i)
	case i == 2:
		return b.with("GatherElements", []value{dy, n.Input(1)}, axis)
	case reduction == "add":
		return dy
	}
	return b.with("ScatterElements", []value{dy, n.Input(1), b.zerosLike(n.Input(2))}, axis)
}

// y = x in which u was put at tuples of indices: as with ids along an axis. For the other reductions all is laid out in one
// row, since ONNX Runtime's ScatterND loses data when it reduces on several threads.
func scatterND(b *builder, n *onnx.Node, dy value, i int) value {
	x, ids, u := n.Input(0), n.Input(1), n.Input(2)
	reduction := reductionOf(n)
	switch {
	case reduction != "none" && reduction != "add":
		at := b.vector(b.op("GatherND", b.places(x), ids))
		s := scatter{b, at, 0, reduction, b.vector(x), b.vector(u), b.vector(n.Output(0))}
		return b.reshapeLike(s.gradient(b.vector(dy), i), n.Input(i))
	case i == 2:
		return b.op("GatherND", dy, ids)
	case reduction == "add":
		return dy
	}
	return b.op("ScatterND", dy, ids, b.zerosLike(u))
}

// y = x overwritten by u from an index on, which each row has for itself: dx = dy, zero there. The same applied to numbers in
// u's place, where x has zeros, says of each element of y which one of u it is; du has room in front for those of x.
func tensorScatter(b *builder, n *onnx.Node, dy value, i int) value {
	x, u := n.Input(0), n.Input(1)
	if i == 0 {
		return b.with("TensorScatter", append([]value{dy, b.zerosLike(u)}, n.Inputs[2:]...), n.Attrs...)
	}
	one := b.out.Int(1)
	none := b.mul(b.places(x), b.out.Int(0))
	from := b.with("TensorScatter", append([]value{none, b.add(b.places(u), one)}, n.Inputs[2:]...), n.Attrs...)
	room := b.filled(0, b.op("Reshape", b.add(b.op("Size", u), one), b.vec(1)))
	all := b.op("ScatterElements", room, b.vector(from), b.vector(dy))
	return b.reshapeLike(b.op("Slice", all, b.vec(1), b.op("Shape", all)), u)
}

func reductionOf(n *onnx.Node) string {
	if a := n.Attr("reduction"); a != nil {
		return a.S
	}
	return "none"
}

// scatter is y = x combined with u at ids along an axis by multiplication, the maximum or the minimum.
type scatter struct {
	b         *builder
	ids       value
	axis      int64
	reduction string
	x, u, y   value
}

// gradient is the cotangent of x (i = 0) or u. A product's is dy times the product of the other factors; the maximum
// (minimum) hands dy to what equals it, in equal parts.
func (s scatter) gradient(dy value, i int) value {
	b := s.b
	if s.reduction == "mul" {
		x, u := b.factor(s.x), b.factor(s.u)
		product, zeros := s.put("mul", x.nonZero, u.nonZero), s.put("add", x.zeros, u.zeros)
		if i == 0 {
			return b.mul(dy, x.others(b, product, zeros))
		}
		return b.mul(s.read(dy), u.others(b, s.read(product), s.read(zeros)))
	}
	xWins, uWins := b.equal(s.x, s.y), b.equal(s.u, s.read(s.y))
	share := b.div(dy, s.put("add", b.cast(xWins, b.dtype), b.cast(uWins, b.dtype)))
	if i == 0 {
		return b.only(xWins, share)
	}
	return b.only(uWins, s.read(share))
}

// put combines two tensors like x and u; read is what y has where each element of u went.
func (s scatter) put(reduction string, x, u value) value {
	return s.b.with("ScatterElements", []value{x, s.ids, u}, onnx.IntAttr("axis", s.axis), onnx.StringAttr("reduction", reduction))
}

func (s scatter) read(y value) value {
	return s.b.with("GatherElements", []value{y, s.ids}, onnx.IntAttr("axis", s.axis))
}
