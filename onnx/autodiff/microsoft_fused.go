package autodiff

import (
	"slices"

	"metalora/onnx"
)

// Operators that ONNX Runtime's optimiser puts in the place of several are written as these again.

// skipLayerNorm: y = LayerNormalization(x + skip + bias); then the mean, 1/deviation and the sum.
func skipLayerNorm(b *builder, n *onnx.Node) []value {
	sum := b.add(n.Input(0), n.Input(1))
	if bias := n.Input(4); bias != "" {
		sum = b.add(sum, bias)
	}
	return append(b.normalised("LayerNormalization", 3, n, sum, n.Inputs[2:min(4, len(n.Inputs))]...), sum)
}

// skipSimplifiedNorm: y = SimplifiedLayerNormalization(x + skip + bias); then nothing, 1/deviation and the sum.
func skipSimplifiedNorm(b *builder, n *onnx.Node) []value {
	sum := b.add(n.Input(0), n.Input(1))
	if bias := n.Input(3); bias != "" {
		sum = b.add(sum, bias)
	}
	y := b.normalised("SimplifiedLayerNormalization", 2, n, sum, n.Input(2))
	return []value{y[0], "", y[1], sum}
}

// normalised is a normalisation along the last axis of x, with the epsilon of n.
func (b *builder) normalised(name string, outputs int, n *onnx.Node, x value, gains ...value) []value {
	epsilon := onnx.FloatAttr("epsilon", n.Float("epsilon", 1e-12))
	in := slices.DeleteFunc(append([]value{x}, gains...), func(v value) bool { return v == "" })
	return b.out.Node("", name, in, outputs, onnx.IntAttr("axis", -1), epsilon)
}

// embedLayerNorm: y = LayerNormalization(words[ids] + positions[0, 1, …] + segments[segment ids]). Output 1 counts the tokens
// in use, output 2 is the sum.
func embedLayerNorm(b *builder, n *onnx.Node) []value {
	ids := n.Input(0)
	places := n.Input(8)
	if places == "" {
		places = b.count(b.sizeOf(ids, 1))
	}
	sum := b.add(b.op("Gather", n.Input(2), ids), b.op("Gather", n.Input(3), places))
	if segments := n.Input(4); segments != "" {
		sum = b.add(sum, b.op("Gather", segments, n.Input(1)))
	}
	used := value("")
	if n.Output(1) != "" {
		used = b.used(n)
	}
	return []value{b.normalised("LayerNormalization", 1, n, sum, n.Input(5), n.Input(6))[0], used, sum}
}

// used counts the tokens of each row whose mask is 1; without a mask the count is 0.
func (b *builder) used(n *onnx.Node) value {
	mask := n.Input(7)
	if mask == "" {
		none := &onnx.Tensor{Type: onnx.Int32, Dims: []int64{1}, Raw: make([]byte, 4)}
		return b.with("ConstantOfShape", []value{b.sizeOf(n.Input(0), 0)}, onnx.Attr{Name: "value", Kind: onnx.KindTensor, T: none})
	}
	return b.sumDrop(mask, 1)
}

// fusedGemm: y = activation(Gemm(a, b, c)).
func fusedGemm(b *builder, n *onnx.Node) []value {
	y := b.with("Gemm", n.Inputs, pickAttrs(n, "alpha", "beta", "transA", "transB")...)
	var settings []onnx.Attr
	for _, name := range []string{"alpha", "beta", "gamma"} {
		if a := n.Attr("activation_" + name); a != nil {
			settings = append(settings, onnx.FloatAttr(name, a.F))
		}
	}
	return []value{b.activated(y, n, settings...)}
}

// fusedConv: y = activation(Conv(x, w, c) + z).
func fusedConv(b *builder, n *onnx.Node) []value {
	attrs := pickAttrs(n, "auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
	y := b.with("Conv", n.Inputs[:min(3, len(n.Inputs))], attrs...)
	if z := n.Input(3); z != "" {
		y = b.add(y, z)
	}
	var settings []onnx.Attr
	if a := n.Attr("activation_params"); a != nil {
		for i, x := range a.Floats {
			settings = append(settings, onnx.FloatAttr([]string{"alpha", "beta"}[i%2], x))
		}
	}
	return []value{b.activated(y, n, settings...)}
}

// activated applies the activation that n names, if any.
func (b *builder) activated(x value, n *onnx.Node, settings ...onnx.Attr) value {
	a := n.Attr("activation")
	switch {
	case a == nil || a.S == "":
		return x
	case a.S == "Clip":
		return b.op("Clip", x, b.num(float64(settings[0].F)), b.num(float64(settings[1].F)))
	}
	return b.with(a.S, []value{x}, settings...)
}

// pickAttrs are those of a node's attributes that have one of the names.
func pickAttrs(n *onnx.Node, names ...string) []onnx.Attr {
	return slices.DeleteFunc(slices.Clone(n.Attrs), func(a onnx.Attr) bool { return !slices.Contains(names, a.Name) })
}
