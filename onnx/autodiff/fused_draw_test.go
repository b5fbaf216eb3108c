package autodiff

import (
	"math/rand/v2"
	"slices"

	"metalora/onnx"
)

var fusedDraws = map[op]generator{
	{microsoft, "FusedGemm"}: always(drawFusedGemm.inFloat()),
	{microsoft, "FusedConv"}: always(drawFusedConv.inFloat()),

	{microsoft, "SkipLayerNormalization"}:           always(drawSkipNorm("SkipLayerNormalization").inFloat()),
	{microsoft, "SkipSimplifiedLayerNormalization"}: always(drawSkipNorm("SkipSimplifiedLayerNormalization").inFloat()),
	{microsoft, "EmbedLayerNormalization"}:          always(drawEmbedNorm.inFloat()),
}

// drawFusedGemm draws a Gemm and one of the activations that take numbers or none.
var drawFusedGemm draw = func(r *rand.Rand, opset int64) testCase {
	c := drawGemm(r, opset)
	attrs := slices.DeleteFunc(c.nodeAttrs(), func(a onnx.Attr) bool { return a.Name == "beta" })
	switch name := oneOf(r, []string{"Tanh", "Sigmoid", "Softplus", "LeakyRelu", "Elu"}); name {
	case "LeakyRelu", "Elu":
		c.sink()
		attrs = append(attrs, onnx.StringAttr("activation", name), onnx.FloatAttr("activation_alpha", 0.3))
	default:
		attrs = append(attrs, onnx.StringAttr("activation", name))
	}
	return nodeOf(microsoft, "FusedGemm", attrs, c.inputs...)
}

// sink makes sums of products of a case's inputs negative, where an activation that has a bend at zero has a slope of its own.
func (c testCase) sink() {
	for i := range c.inputs {
		c.inputs[i].values = positive
		if i > 0 {
			c.inputs[i].values = func(r *rand.Rand, j int) float64 { return -positive(r, j) }
		}
	}
}

// nodeAttrs are the attributes of a case's only node.
func (c testCase) nodeAttrs() []onnx.Attr {
	g := &onnx.Graph{}
	in := make([]string, len(c.inputs))
	for i := range in {
		in[i] = "x"
	}
	c.build(onnx.NewBuilder(g), in)
	return append([]onnx.Attr{}, g.Nodes[0].Attrs...)
}

// drawFusedConv draws a Conv with an addend and an activation.
var drawFusedConv draw = func(r *rand.Rand, opset int64) testCase {
	c := drawConv(r, opset)
	for len(c.inputs) < 3 || len(c.inputs[0].shape) != 4 {
		c = drawConv(r, opset)
	}
	attrs := c.nodeAttrs()
	switch r.IntN(3) {
	case 0:
		attrs = append(attrs, onnx.StringAttr("activation", "Tanh"))
	case 1:
		c.sink()
		attrs = append(attrs, onnx.StringAttr("activation", "LeakyRelu"), onnx.Attr{Name: "activation_params", Kind: onnx.KindFloats, Floats: []float32{0.3}})
	case 2:
		attrs = append(attrs, onnx.StringAttr("activation", "Sigmoid"))
	}
	return nodeOf(microsoft, "FusedConv", attrs, c.inputs...)
}

// drawSkipNorm draws the normalised sum of two inputs, of which the second may be shared by the rows, and that sum.
func drawSkipNorm(name string) draw {
	return func(r *rand.Rand, _ int64) testCase {
		rows, length, size := 1+r.IntN(3), 1+r.IntN(3), 2+r.IntN(4)
		c := recipe{domain: microsoft, op: name, outputs: 4, output: oneOf(r, []int{0, 0, 3})}
		c.attr(onnx.FloatAttr("epsilon", 0.1))
		c.take(anything, rows, length, size)
		c.take(anything, oneOf(r, [][]int{{rows, length, size}, {1, length, size}, {length, size}})...)
		c.take(anything, size)
		if name == "SkipLayerNormalization" {
			if r.IntN(2) == 0 {
				c.take(anything, size)
			} else {
				c.leave()
			}
		}
		if r.IntN(2) == 0 {
			c.take(anything, size)
		}
		return c.testCase()
	}
}

// drawEmbedNorm draws sums of rows of two or three tables, with positions of their own or counted.
var drawEmbedNorm draw = func(r *rand.Rand, _ int64) testCase {
	rows, length, size := 1+r.IntN(2), 1+r.IntN(3), 2+r.IntN(3)
	ids := func(n int) *onnx.Tensor {
		var list []int
		for _, i := range placesIn(r, rows*length, n) {
			list = append(list, int(i))
		}
		return int32s(dims(rows, length), list...)
	}
	c := recipe{domain: microsoft, op: "EmbedLayerNormalization", sized: true, outputs: 3, output: oneOf(r, []int{0, 0, 2})}
	c.attr(onnx.FloatAttr("epsilon", 0.1))
	c.fix(ids(4))
	segments := r.IntN(2) == 0
	if segments {
		c.fix(ids(2))
	} else {
		c.leave()
	}
	c.take(anything, 4, size)
	c.take(anything, 5, size)
	if segments {
		c.take(anything, 2, size)
	} else {
		c.leave()
	}
	c.take(anything, size)
	c.take(anything, size)
	if r.IntN(2) == 0 {
		c.leave()
		c.fix(ids(5))
	}
	return c.testCase()
}
