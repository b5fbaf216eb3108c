package autodiff

import "metalora/onnx"

// y = x in which u was put at ids along an axis. Overwritten: dx = dy, zero there, and du = dy there. Added to: dx = dy,
// du = dy there. Multiplied: each takes dy times the product of the other factors. The maximum (minimum) hands dy to what
// equals it, in equal parts.
func scatterElements(b *builder, n *onnx.Node, dy value, i int) value {
	s := scatter{b, n.Input(1), n.Int("axis", 0)}
	x, u, y := n.Input(0), n.Input(2), n.Output(0)
	switch reduction := reductionOf(n); {
	case reduction == "mul":
		return s.otherFactors(b.factor(x), b.factor(u), dy, i)
	case reduction == "max", reduction == "min":
		return s.winners(b.equal(x, y), b.equal(u, s.read(y)), dy, i)
	case i == 2:
		return s.read(dy)
	case reduction == "add":
		return dy
	}
	return s.put("none", dy, b.zerosLike(u))
}

// y = x overwritten by u at tuples of indices: dx = dy, zero there; du = dy there.
func scatterND(b *builder, n *onnx.Node, dy value, i int) value {
	if i == 2 {
		return b.op("GatherND", dy, n.Input(1))
	}
	return b.op("ScatterND", dy, n.Input(1), b.zerosLike(n.Input(2)))
}

// scatterFlat writes a ScatterND that reduces as ScatterElements on one row of all elements: where indices repeat, ONNX
// Runtime's ScatterND loses data on several threads, whatever the reduction.
func scatterFlat(b *builder, n *onnx.Node) []value {
	if reductionOf(n) == "none" {
		return nil
	}
	x := n.Input(0)
	s := scatter{b, b.vector(b.op("GatherND", b.places(x), n.Input(1))), 0}
	return []value{b.reshapeLike(s.put(reductionOf(n), b.vector(x), b.vector(n.Input(2))), x)}
}

func reductionOf(n *onnx.Node) string {
	if a := n.Attr("reduction"); a != nil {
		return a.S
	}
	return "none"
}

// scatter is where a scatter along an axis puts its updates.
type scatter struct {
	b    *builder
	ids  value
	axis int64
}

// put combines u with x; read is what a tensor of x's shape has where each element of u goes.
func (s scatter) put(reduction string, x, u value) value {
	attrs := []onnx.Attr{onnx.IntAttr("axis", s.axis)}
	if reduction != "none" { // an attribute since opset 16
		attrs = append(attrs, onnx.StringAttr("reduction", reduction))
	}
	return s.b.with("ScatterElements", []value{x, s.ids, u}, attrs...)
}

func (s scatter) read(y value) value {
	return s.b.with("GatherElements", []value{y, s.ids}, onnx.IntAttr("axis", s.axis))
}

// otherFactors is dy times the product of all factors beside each of x (i = 0) or u.
func (s scatter) otherFactors(x, u factor, dy value, i int) value {
	product, zeros := s.put("mul", x.nonZero, u.nonZero), s.put("add", x.zeros, u.zeros)
	if i == 0 {
		return s.b.mul(dy, x.others(s.b, product, zeros))
	}
	return s.b.mul(s.read(dy), u.others(s.b, s.read(product), s.read(zeros)))
}

// winners shares dy among what won, of x (i = 0) or u.
func (s scatter) winners(x, u, dy value, i int) value {
	b := s.b
	share := b.div(dy, s.put("add", b.cast(x, b.dtype), b.cast(u, b.dtype)))
	if i == 0 {
		return b.only(x, share)
	}
	return b.only(u, s.read(share))
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
