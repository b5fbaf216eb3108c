package autodiff

import (
	"math/rand/v2"
	"slices"

	"metalora/onnx"
)

var poolDraws = map[op]generator{
	{"", "MaxPool"}:           always(drawPool("MaxPool", spreadOut, ceils, storageOrders)),
	{"", "MaxUnpool"}:         always(drawUnpool.inFloat()),
	{"", "AveragePool"}:       always(drawPool("AveragePool", anything, ceils, padCounts).inFloat()),
	{"", "LpPool"}:            always(drawPool("LpPool", offZero, powersOfNorms).inFloat()),
	{"", "GlobalAveragePool"}: always(drawGlobalPool("GlobalAveragePool", anything).inFloat()),
	{"", "GlobalMaxPool"}:     always(drawGlobalPool("GlobalMaxPool", spreadOut).inFloat()),
	{"", "GlobalLpPool"}:      always(drawGlobalPool("GlobalLpPool", offZero, powersOfNorms).inFloat()),
}

// spreadOut gives any two of a few hundred elements a distance of more than a finite difference's step.
func spreadOut(_ *rand.Rand, i int) float64 { return float64(i*37%331)*0.1 - 15 }

// Attributes that are drawn half of the time.
var (
	ceils         = onnx.IntAttr("ceil_mode", 1)
	padCounts     = onnx.IntAttr("count_include_pad", 1)
	storageOrders = onnx.IntAttr("storage_order", 1)
	powersOfNorms = onnx.IntAttr("p", 0)
)

// some chooses attributes; a p of 0 stands for any.
func some(r *rand.Rand, attrs []onnx.Attr) []onnx.Attr {
	var chosen []onnx.Attr
	for _, a := range attrs {
		if r.IntN(2) == 0 {
			continue
		}
		if a.Name == "p" {
			a.I = 1 + r.Int64N(4)
		}
		chosen = append(chosen, a)
	}
	return chosen
}

// drawPool draws poolings over one to three axes, each with some of the attributes.
func drawPool(name string, v values, attrs ...onnx.Attr) draw {
	return func(r *rand.Rand, opset int64) testCase {
		s := anySliding(r, 1+r.IntN(3))
		for name == "MaxPool" && s.skips() {
			s = anySliding(r, 1+r.IntN(3)) // with auto_pad the runtime pads such windows by less than nothing
		}
		if since := map[string]int64{"AveragePool": 19, "LpPool": 18}[name]; opset < since {
			s.undilate()
		}
		x := dims(1+r.IntN(2), 1+r.IntN(2))
		for i := range s.kernel {
			x = append(x, s.room(r, i))
		}
		chosen := some(r, attrs)
		padded := slices.ContainsFunc(s.attrs, func(a onnx.Attr) bool { return a.Name == "pads" })
		if name == "LpPool" && opset >= 18 && !padded && r.IntN(2) == 0 {
			chosen = append(chosen, ceils) // it also counts windows that begin in the padding, unlike the operator's definition
		}
		if s.skips() { // what the runtime says of the output's shape is then not what it computes
			chosen = slices.DeleteFunc(chosen, func(a onnx.Attr) bool { return a.Name == ceils.Name })
		}
		return node(name, append(append(s.attrs, listAttr("kernel_shape", s.kernel)), chosen...), input{x, v})
	}
}

// skips reports whether elements may lie between two windows.
func (s *sliding) skips() bool {
	for i, k := range s.kernel {
		if s.strides[i] > (k-1)*s.dilations[i]+1 {
			return true
		}
	}
	return false
}

// undilate takes dilations back.
func (s *sliding) undilate() {
	attrs := s.attrs
	s.attrs = nil
	for _, a := range attrs {
		if a.Name != "dilations" {
			s.attrs = append(s.attrs, a)
		}
	}
	s.dilations = same(len(s.kernel), 1)
}

// drawGlobalPool draws poolings over all of one to three axes.
func drawGlobalPool(name string, v values, attrs ...onnx.Attr) draw {
	return func(r *rand.Rand, opset int64) testCase {
		c := node(name, some(r, attrs), input{append(dims(1+r.IntN(2), 1+r.IntN(3)), anyShape(r, 1, 3)...), v})
		if name == "GlobalLpPool" {
			c.opset = min(opset, 21) // the runtime has no kernel for newer ones
		}
		return c
	}
}

// drawUnpool draws what MaxPool gives back to MaxUnpool, in whatever order, with and without a size.
var drawUnpool draw = func(r *rand.Rand, _ int64) testCase {
	x, whole, kernel := dims(1, 2), dims(1, 2), dims()
	for range 1 + r.IntN(2) {
		n, k := anySize(r), 1+r.IntN(3)
		x, whole, kernel = append(x, n), append(whole, n*k), append(kernel, k)
	}
	places := wide(r.Perm(elements(whole))[:elements(x)])
	sized := r.IntN(2) == 0
	c := node("MaxUnpool", nil, input{x, anything})
	c.build = func(b *onnx.Builder, in []string) string {
		in = append(in, b.Const(onnx.Int64s(wide(x), places...)))
		if sized {
			in = append(in, b.Ints(wide(whole)...))
		}
		return b.Op("MaxUnpool", in, listAttr("kernel_shape", kernel), listAttr("strides", kernel))
	}
	return c
}
