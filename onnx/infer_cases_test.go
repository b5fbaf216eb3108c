package onnx

// The rows of these tables apply one operator, or the few that exporters write where one would do, to inputs of known
// and unknown sizes. TestInfer compares what is inferred with the last column, TestShapesAgainstRuns with real runs.

var hidden = Dims("rows", "length", 32)

const math32 = 1<<31 - 1 // the end that exporters write for "to the end"

// unary applies an operator to a matrix.
func unary(op string, attrs ...Attr) func(*Builder) string {
	return func(b *Builder) string { return b.Op(op, []string{in(b, "rows", 4)}, attrs...) }
}

// pair applies an operator to two inputs x and y.
func pair(op string, x, y Shape, attrs ...Attr) func(*Builder) string {
	return func(b *Builder) string {
		inputs := []string{b.Input("x", Float, dims(x)...), b.Input("y", Float, dims(y)...)}
		if op == "FusedMatMul" {
			return b.Node(microsoft, op, inputs, 1, attrs...)[0]
		}
		return b.Op(op, inputs, attrs...)
	}
}

func dims(s Shape) []any {
	var out []any
	for _, d := range s {
		out = append(out, d)
	}
	return out
}

// reshapeTo reshapes x to a constant shape.
func reshapeTo(x Shape, target ...int64) func(*Builder) string {
	return func(b *Builder) string { return on(b, "Reshape", in(b, dims(x)...), b.Ints(target...)) }
}

// cut slices [n, 10].
func cut(starts, ends, axes, steps []int64) func(*Builder) string {
	return func(b *Builder) string {
		return on(b, "Slice", in(b, "n", 10), b.Ints(starts...), b.Ints(ends...), b.Ints(axes...), b.Ints(steps...))
	}
}

func one(i int64) []int64 { return []int64{i} }

// reducing reduces [rows, n, 4] along axes given as an input, or not at all.
func reducing(op string, axes []int64, attrs ...Attr) func(*Builder) string {
	return func(b *Builder) string {
		inputs := []string{in(b, "rows", "n", 4)}
		if axes != nil {
			inputs = append(inputs, b.Ints(axes...))
		}
		return b.Op(op, inputs, attrs...)
	}
}

// normOutput is output i of a LayerNormalization.
func normOutput(i int) func(*Builder) string {
	return func(b *Builder) string {
		return b.Node("", "LayerNormalization", []string{in(b, "rows", "n", 4), in(b, 4), in(b, 4)}, 3, IntAttr("axis", -1))[i]
	}
}

var elementwiseCases = []inferCase{
	{"Tanh", unary("Tanh"), "float [rows 4]"},
	{"Gelu", unary("Gelu", StringAttr("approximate", "tanh")), "float [rows 4]"},
	{"Softmax", unary("Softmax", IntAttr("axis", -1)), "float [rows 4]"},
	{"IsNaN", unary("IsNaN"), "bool [rows 4]"},
	{"Cast", unary("Cast", IntAttr("to", int64(Double))), "double [rows 4]"},
	{"CastLike", func(b *Builder) string { return on(b, "CastLike", in(b, 2, 3), ints(b)) }, "int64 [2 3]"},
	{"Dropout", unary("Dropout"), "float [rows 4]"},
	{"Dropout's mask", func(b *Builder) string { return b.Node("", "Dropout", []string{in(b, "n")}, 2)[1] }, "bool [n]"},
	{"unknown rank", func(b *Builder) string {
		b.Graph.Inputs = append(b.Graph.Inputs, ValueInfo{"x", Float, nil})
		return on(b, "Add", on(b, "Relu", "x"), in(b, 3))
	}, "float ?"},
	{"Add broadcasts", pair("Add", Dims("rows", 1, 4), Dims("length", 1)), "float [rows length 4]"},
	{"same symbol", pair("Mul", Dims("rows", 4), Dims("rows", 1)), "float [rows 4]"},
	{"symbol and 1", pair("Sub", Dims(1, 4), Dims("rows", 4)), "float [rows 4]"},
	{"symbol and size", pair("Div", Dims("n", 4), Dims(3, 4)), "float [3 4]"},
	{"two symbols", pair("Add", Dims("rows", 4), Dims("length", 4)), "float [? 4]"},
	{"symbol and unknown", pair("Add", Dims("n"), Dims(Dim{Size: -1})), "float [?]"},
	{"products in either order", pair("Add", Dims("a*b"), Dims("b*a")), "float [a*b]"},
	{"scalar", pair("Add", Shape{}, Dims("rows")), "float [rows]"},
	{"two scalars", pair("Add", Shape{}, Shape{}), "float []"},
	{"Pow of another type", func(b *Builder) string { return on(b, "Pow", in(b, "n"), b.Int(2)) }, "float [n]"},
	{"Equal", pair("Equal", Dims("rows", 1), Dims(4)), "bool [rows 4]"},
	{"And", func(b *Builder) string {
		return on(b, "And", b.Input("c", Bool, 1, "n"), b.Input("d", Bool, "rows", 1))
	}, "bool [rows n]"},
	{"Max of three", func(b *Builder) string { return on(b, "Max", in(b, 3, 1), in(b, 2), in(b)) }, "float [3 2]"},
	{"Where", func(b *Builder) string {
		return on(b, "Where", b.Input("c", Bool, "rows", 1), in(b), in(b, 4))
	}, "float [rows 4]"},
	{"an operator of another maker", func(b *Builder) string { return b.Node(microsoft, "BiasGelu", []string{in(b, "n", 4), in(b, 4)}, 1)[0] }, "float [n 4]"},
	{"an unknown operator", func(b *Builder) string { return on(b, "Mystery", in(b, 2)) }, "undefined ?"},
	{"an unknown operator that the file describes", func(b *Builder) string {
		y := on(b, "Mystery", in(b, 2))
		b.Graph.Values = []ValueInfo{{y, Double, Dims("b*a", 7)}}
		return y
	}, "double [a*b 7]"},
}

var matMulCases = []inferCase{
	{"matrices", pair("MatMul", Dims("n", 3), Dims(3, "m")), "float [n m]"},
	{"batches", pair("MatMul", Dims("rows", 4, "n", 8), Dims("rows", 4, 8, "n")), "float [rows 4 n n]"},
	{"broadcast batches", pair("MatMul", Dims("rows", "n", 8), Dims(8, 5)), "float [rows n 5]"},
	{"row", pair("MatMul", Dims(3), Dims("rows", 3, 5)), "float [rows 5]"},
	{"column", pair("MatMul", Dims("n", 3), Dims(3)), "float [n]"},
	{"dot product", pair("MatMul", Dims(3), Dims(3)), "float []"},
	{"Gemm", pair("Gemm", Dims("n", 3), Dims(3, 5)), "float [n 5]"},
	{"Gemm, transposed", pair("Gemm", Dims(3, "n"), Dims(5, 3), IntAttr("transA", 1), IntAttr("transB", 1)), "float [n 5]"},
	{"Gemm with bias", func(b *Builder) string { return on(b, "Gemm", in(b, "n", 3), in(b, 3, 5), in(b, 5)) }, "float [n 5]"},
	{"FusedMatMul", pair("FusedMatMul", Dims("rows", "n", 8), Dims("rows", "m", 8), IntAttr("transB", 1)), "float [rows n m]"},
	{"MatMulInteger", func(b *Builder) string {
		return on(b, "MatMulInteger", b.Input("x", Uint8, "n", 3), b.Input("y", Int8, 3, 5))
	}, "int32 [n 5]"},
}

var layoutCases = []inferCase{
	{"Reshape", reshapeTo(hidden, -1, 32), "float [length*rows 32]"},
	{"Reshape, copied", reshapeTo(hidden, 0, 0, 4, 8), "float [rows length 4 8]"},
	{"Reshape, copied and left over", reshapeTo(hidden, 0, -1), "float [rows 32*length]"},
	{"Reshape, finer", reshapeTo(hidden, -1, 8), "float [4*length*rows 8]"},
	{"Reshape, coarser than known", reshapeTo(Dims("b"), -1, 2), "float [? 2]"},
	{"Reshape of unknown, copied", reshapeTo(Dims(Dim{Size: -1}, 4, 8), 0, -1), "float [? 32]"},
	{"Reshape of unknown", reshapeTo(Dims(Dim{Size: -1}, 4, 8), -1, 8), "float [? 8]"},
	{"Reshape of unknown rank", func(b *Builder) string {
		b.Graph.Inputs = append(b.Graph.Inputs, ValueInfo{"x", Float, nil})
		return on(b, "Reshape", "x", b.Ints(0, 3, -1))
	}, "float [? 3 ?]"},
	{"Reshape to a scalar", reshapeTo(Dims(1, 1)), "float []"},
	{"Reshape to a vector", reshapeTo(Shape{}, -1), "float [1]"},
	{"Reshape by a computed shape", func(b *Builder) string {
		x := in(b, "rows", "length", 32)
		flat := on(b, "Reshape", x, b.Ints(-1, 32))
		return on(b, "Reshape", flat, join(b, dimOf(b, x, 0), dimOf(b, x, 1), b.Ints(4, 8)))
	}, "float [rows length 4 8]"},
	{"Reshape by a sliced shape", func(b *Builder) string {
		x := in(b, "rows", "length", 32)
		outer := on(b, "Slice", on(b, "Shape", x), b.Ints(0), b.Ints(-1))
		return on(b, "Reshape", on(b, "Reshape", x, b.Ints(-1)), join(b, outer, b.Ints(-1)))
	}, "float [rows length 32]"},
	{"Reshape by a product", func(b *Builder) string {
		x := in(b, "rows", "length", 32)
		tokens := on(b, "Mul", dimOf(b, x, 0), dimOf(b, x, 1))
		return on(b, "Reshape", x, join(b, tokens, b.Ints(-1)))
	}, "float [length*rows 32]"},
	{"Reshape by one unknown size", func(b *Builder) string {
		return on(b, "Reshape", in(b, "rows", "length", 32), join(b, ints(b, 1), b.Ints(32)))
	}, "float [length*rows 32]"},
	{"Reshape by an unknown shape", func(b *Builder) string { return on(b, "Reshape", in(b, 2, 3), ints(b, 3)) }, "float [? ? ?]"},
	{"Reshape, 0 is 0", func(b *Builder) string {
		return b.Op("Reshape", []string{in(b, 0, 3), b.Ints(0, 7)}, IntAttr("allowzero", 1))
	}, "float [0 7]"},
	{"Flatten", func(b *Builder) string { return b.Op("Flatten", []string{in(b, "rows", "n", 4)}, IntAttr("axis", 2)) }, "float [n*rows 4]"},
	{"Flatten at the end", func(b *Builder) string { return b.Op("Flatten", []string{in(b, "n", 4)}, IntAttr("axis", 2)) }, "float [4*n 1]"},
	{"Transpose", func(b *Builder) string {
		return b.Op("Transpose", []string{in(b, "rows", "n", 4)}, IntsAttr("perm", 0, 2, 1))
	}, "float [rows 4 n]"},
	{"Transpose, reversed", func(b *Builder) string { return on(b, "Transpose", in(b, "rows", 4)) }, "float [4 rows]"},
	{"Squeeze", func(b *Builder) string { return on(b, "Squeeze", in(b, 1, "n", 1), b.Ints(-1)) }, "float [1 n]"},
	{"Squeeze all", func(b *Builder) string { return on(b, "Squeeze", in(b, 1, 3, 1)) }, "float [3]"},
	{"Squeeze all of a symbol", func(b *Builder) string { return on(b, "Squeeze", in(b, 1, "n")) }, "float ?"},
	{"Squeeze by attribute", func(b *Builder) string { return b.Op("Squeeze", []string{in(b, 1, "n")}, IntsAttr("axes", 0)) }, "float [n]"},
	{"Unsqueeze", func(b *Builder) string { return on(b, "Unsqueeze", in(b, "n"), b.Ints(0, -1)) }, "float [1 n 1]"},
	{"Expand", func(b *Builder) string { return on(b, "Expand", in(b, "rows", 1), b.Ints(1, 4)) }, "float [rows 4]"},
	{"Expand to a computed shape", func(b *Builder) string {
		// As legacy exporters write it: -1 stands for a dimension that stays.
		wanted := join(b, dimOf(b, ints(b, "rows", "n"), 0), b.Ints(-1))
		ones := on(b, "ConstantOfShape", b.Ints(2))
		b.Graph.Nodes[len(b.Graph.Nodes)-1].Attrs = []Attr{{Name: "value", Kind: KindTensor, T: Int64s([]int64{1}, 1)}}
		same := on(b, "Equal", wanted, b.Ints(-1))
		return on(b, "Expand", in(b, 1, "m"), on(b, "Where", same, ones, wanted))
	}, "float [rows m]"},
	{"Tile", func(b *Builder) string { return on(b, "Tile", in(b, "n", 3), b.Ints(2, 1)) }, "float [2*n 3]"},
	{"Pad", func(b *Builder) string { return on(b, "Pad", in(b, "n", 3), b.Ints(1, 0, 1, -1)) }, "float [n + 2 2]"},
	{"Pad some axes", func(b *Builder) string { return on(b, "Pad", in(b, "n", 3), b.Ints(0, 1), "", b.Ints(-1)) }, "float [n 4]"},
}

var blockCases = []inferCase{
	{"DepthToSpace", func(b *Builder) string {
		return b.Op("DepthToSpace", []string{in(b, "n", 8, "m", 3)}, IntAttr("blocksize", 2))
	}, "float [n 2 2*m 6]"},
	{"SpaceToDepth", func(b *Builder) string {
		return b.Op("SpaceToDepth", []string{in(b, "n", 2, 6, 4)}, IntAttr("blocksize", 2))
	}, "float [n 8 3 2]"},
	{"CenterCropPad", func(b *Builder) string {
		return b.Op("CenterCropPad", []string{in(b, "n", 2, 6), b.Ints(3, 4)}, IntsAttr("axes", -1, 1))
	}, "float [n 4 3]"},
	{"CenterCropPad all", func(b *Builder) string { return on(b, "CenterCropPad", in(b, "n", 2), b.Ints(3, 4)) }, "float [3 4]"},
	{"Col2Im", func(b *Builder) string { return on(b, "Col2Im", in(b, "n", 12, 9), b.Ints(4, 4), b.Ints(2, 2)) }, "float [n 3 4 4]"},
	{"Compress", func(b *Builder) string {
		return b.Op("Compress", []string{in(b, "n", 2), b.Input("c", Bool, "n")}, IntAttr("axis", 0))
	}, "float [? 2]"},
	{"Compress all", func(b *Builder) string { return on(b, "Compress", in(b, "n", 2), b.Input("c", Bool, "n")) }, "float [?]"},
	{"Einsum", einsumOf("bhqd,bhkd->bhqk", Dims("rows", 2, "n", 4), Dims("rows", 2, "m", 4)), "float [rows 2 n m]"},
	{"Einsum without a result", einsumOf("ij,jk", Dims("n", 3), Dims(3, "m")), "float [n m]"},
	{"Einsum to a number", einsumOf("i,i->", Dims("n"), Dims("n")), "float []"},
	{"Einsum with an ellipsis", einsumOf("...ij,...jk->...ik", Dims("rows", 2, 3), Dims("rows", 3, 4)), "float [rows 2 4]"},
	{"Det", func(b *Builder) string { return on(b, "Det", in(b, "n", 3, 3)) }, "float [n]"},
	{"Det of one", func(b *Builder) string { return on(b, "Det", in(b, 3, 3)) }, "float []"},
	{"loss", func(b *Builder) string { return on(b, "SoftmaxCrossEntropyLoss", in(b, "n", 3), ints(b, "n")) }, "float []"},
	{"losses", func(b *Builder) string {
		return b.Op("NegativeLogLikelihoodLoss", []string{in(b, "n", 3, 2), ints(b, "n", 2)}, StringAttr("reduction", "none"))
	}, "float [n 2]"},
	{"log-probabilities", func(b *Builder) string {
		return b.Node("", "SoftmaxCrossEntropyLoss", []string{in(b, "n", 3), ints(b, "n")}, 2)[1]
	}, "float [n 3]"},
}

// einsumOf contracts operands.
func einsumOf(equation string, operands ...Shape) func(*Builder) string {
	return func(b *Builder) string {
		var inputs []string
		for _, s := range operands {
			inputs = append(inputs, in(b, dims(s)...))
		}
		return b.Op("Einsum", inputs, StringAttr("equation", equation))
	}
}

var selectCases = []inferCase{
	{"Concat", func(b *Builder) string {
		return b.Op("Concat", []string{in(b, "n", 3), in(b, "m", 3), in(b, 1, Dim{Size: -1})}, IntAttr("axis", 0))
	}, "float [m + n + 1 3]"},
	{"Split by count", func(b *Builder) string {
		return b.Node("", "Split", []string{in(b, "n", 5)}, 2, IntAttr("axis", 1), IntAttr("num_outputs", 2))[1]
	}, "float [n 2]"},
	{"Split of a symbol", func(b *Builder) string {
		return b.Node("", "Split", []string{in(b, "2*n")}, 2, IntAttr("num_outputs", 2))[0]
	}, "float [n]"},
	{"Split by lengths", func(b *Builder) string { return b.Node("", "Split", []string{in(b, 5), b.Ints(4, 1)}, 2)[0] }, "float [4]"},
	{"Split of a shape", func(b *Builder) string {
		sizes := b.Node("", "Split", []string{on(b, "Shape", in(b, "rows", "n")), b.Ints(1, 1)}, 2)
		return on(b, "Expand", in(b, 1), sizes[1])
	}, "float [n]"},
	{"Slice", cut(one(2), one(9), one(1), one(3)), "float [n 3]"},
	{"Slice from the end", cut(one(-3), one(math32), one(1), one(1)), "float [n 3]"},
	{"Slice backward", cut(one(-1), one(-math32-1), one(1), one(-2)), "float [n 5]"},
	{"Slice beyond", cut(one(8), one(100), one(-1), one(1)), "float [n 2]"},
	{"Slice nothing", cut(one(5), one(2), one(1), one(1)), "float [n 0]"},
	{"Slice all of a symbol", cut(one(0), one(math32), one(0), one(1)), "float [n 10]"},
	{"Slice a symbol reversed", cut(one(-1), one(-math32-1), one(0), one(-1)), "float [n 10]"},
	{"Slice without the first", cut(one(1), one(math32), one(0), one(1)), "float [n - 1 10]"},
	{"Slice without the last", cut(one(0), one(-1), one(0), one(1)), "float [n - 1 10]"},
	{"Slice the last of a symbol", cut(one(-1), one(math32), one(0), one(1)), "float [1 10]"},
	{"Slice the first of a symbol", cut(one(0), one(1), one(0), one(1)), "float [1 10]"},
	{"Slice to a symbol", func(b *Builder) string {
		return on(b, "Slice", in(b, 1, 512), b.Ints(0), dimOf(b, ints(b, "rows", "length"), 1), b.Ints(1))
	}, "float [1 length]"},
	{"Gather", func(b *Builder) string { return on(b, "Gather", in(b, 1000, 32), ints(b, "rows", "n")) }, "float [rows n 32]"},
	{"Gather one", func(b *Builder) string {
		return b.Op("Gather", []string{in(b, "rows", "n", 32), b.Int(0)}, IntAttr("axis", 1))
	}, "float [rows 32]"},
	{"Gather a scalar", func(b *Builder) string { return on(b, "Gather", ints(b, 4), b.Int(0)) }, "int64 []"},
	{"GatherElements", func(b *Builder) string { return on(b, "GatherElements", in(b, 5, 9), ints(b, 2, "n")) }, "float [2 n]"},
	{"GatherND", func(b *Builder) string { return on(b, "GatherND", in(b, "rows", "n", 4), ints(b, 7, 2)) }, "float [7 4]"},
	{"GatherND in batches", func(b *Builder) string {
		return b.Op("GatherND", []string{in(b, "rows", "n", 4), ints(b, "rows", 5, 1)}, IntAttr("batch_dims", 1))
	}, "float [rows 5 4]"},
	{"ScatterElements", func(b *Builder) string { return on(b, "ScatterElements", in(b, "n", 4), ints(b, 2, 4), in(b, 2, 4)) }, "float [n 4]"},
	{"TopK", func(b *Builder) string { return b.Node("", "TopK", []string{in(b, "n", 9), b.Ints(3)}, 2)[1] }, "int64 [n 3]"},
	{"OneHot", func(b *Builder) string { return on(b, "OneHot", ints(b, "n"), b.Int(7), in(b, 2)) }, "float [n 7]"},
	{"NonZero", func(b *Builder) string { return on(b, "NonZero", in(b, "n", 4)) }, "int64 [2 ?]"},
	{"CumSum", func(b *Builder) string { return on(b, "CumSum", ints(b, "rows", "n"), b.Int(1)) }, "int64 [rows n]"},
}

var valuesCases = []inferCase{
	{"Constant", func(b *Builder) string {
		return b.Op("Constant", nil, Attr{Name: "value", Kind: KindTensor, T: Floats([]int64{1, 2}, 1, 2)})
	}, "float [1 2]"},
	{"Constant list", func(b *Builder) string { return b.Op("Constant", nil, IntsAttr("value_ints", 1, 2, 3)) }, "int64 [3]"},
	{"Constant number", func(b *Builder) string { return b.Op("Constant", nil, FloatAttr("value_float", 1)) }, "float []"},
	{"ConstantOfShape", func(b *Builder) string { return on(b, "ConstantOfShape", on(b, "Shape", in(b, "n", 2))) }, "float [n 2]"},
	{"ConstantOfShape, a scalar", func(b *Builder) string { return on(b, "ConstantOfShape", b.Ints()) }, "float []"},
	{"Range", func(b *Builder) string {
		n := on(b, "Squeeze", dimOf(b, in(b, "rows", "n"), 1))
		return on(b, "Range", b.Int(0), n, b.Int(1))
	}, "int64 [n]"},
	{"Range of numbers", func(b *Builder) string { return on(b, "Range", b.Int(10), b.Int(0), b.Int(-3)) }, "int64 [4]"},
	{"Range of whole floats", func(b *Builder) string {
		zero := on(b, "CastLike", b.Scalar(2), b.Int(0))
		return on(b, "Range", zero, b.Int(7), b.Int(1))
	}, "int64 [5]"},
	{"Shape", func(b *Builder) string { return on(b, "Shape", in(b, "rows", "n")) }, "int64 [2]"},
	{"part of a Shape", func(b *Builder) string {
		part := b.Op("Shape", []string{in(b, "rows", "n", 4)}, IntAttr("start", -2), IntAttr("end", 2))
		return on(b, "Expand", in(b, 1), part)
	}, "float [n]"},
	{"Size", func(b *Builder) string {
		size := on(b, "Reshape", on(b, "Size", in(b, "rows", 4)), b.Ints(1))
		return on(b, "Expand", in(b, 1), size)
	}, "float [4*rows]"},
	{"integer arithmetic", func(b *Builder) string {
		n := dimOf(b, in(b, "n", 4), 0)
		quarter := on(b, "Div", on(b, "Mul", on(b, "Add", n, n), b.Ints(6)), b.Ints(4))
		return on(b, "Expand", in(b, 1), on(b, "Max", on(b, "Sub", quarter, b.Ints(1)), quarter))
	}, "float [3*n]"},
	{"ReduceSum", reducing("ReduceSum", []int64{-1}), "float [rows n 1]"},
	{"ReduceSum, dropped", reducing("ReduceSum", []int64{0, 1}, IntAttr("keepdims", 0)), "float [4]"},
	{"ReduceSum of all", reducing("ReduceSum", nil, IntAttr("keepdims", 0)), "float []"},
	{"ReduceSum of all, kept", reducing("ReduceSum", nil), "float [1 1 1]"},
	{"ReduceSum of nothing", reducing("ReduceSum", []int64{}, IntAttr("noop_with_empty_axes", 1)), "float [rows n 4]"},
	{"ReduceMean by attribute", reducing("ReduceMean", nil, IntsAttr("axes", -1)), "float [rows n 1]"},
	{"ReduceProd of a shape", func(b *Builder) string {
		return on(b, "Expand", in(b, 1), b.Op("ReduceProd", []string{on(b, "Shape", in(b, "rows", "n"))}))
	}, "float [n*rows]"},
	{"ReduceSum over unknown axes", func(b *Builder) string { return on(b, "ReduceSum", in(b, 2, 3), ints(b, 1)) }, "float [? ?]"},
	{"ArgMax", func(b *Builder) string {
		return b.Op("ArgMax", []string{in(b, "rows", 4)}, IntAttr("axis", -1), IntAttr("keepdims", 0))
	}, "int64 [rows]"},
	{"LayerNormalization", normOutput(0), "float [rows n 4]"},
	{"LayerNormalization's mean", normOutput(1), "float [rows n 1]"},
	{"LayerNormalization's deviation", normOutput(2), "float [rows n 1]"},
}

// image declares x of the given shape and applies an operator to it and to weights that are inputs too.
func image(op string, x Shape, weights []Shape, attrs ...Attr) func(*Builder) string {
	return func(b *Builder) string {
		inputs := []string{in(b, dims(x)...)}
		for _, w := range weights {
			inputs = append(inputs, in(b, dims(w)...))
		}
		return b.Op(op, inputs, attrs...)
	}
}

// resizing scales an image by constants, or gives it sizes.
func resizing(x Shape, scales []float32, sizes []int64, attrs ...Attr) func(*Builder) string {
	return func(b *Builder) string {
		inputs := []string{in(b, dims(x)...), "", ""}
		if scales != nil {
			inputs[2] = b.Const(Floats([]int64{int64(len(scales))}, scales...))
		} else {
			inputs = append(inputs, b.Ints(sizes...))
		}
		return b.Op("Resize", inputs, attrs...)
	}
}

var (
	kernel3 = IntsAttr("kernel_shape", 3, 3)
	stride2 = IntsAttr("strides", 2, 2)
	around1 = IntsAttr("pads", 1, 1, 1, 1)
	upper   = StringAttr("auto_pad", "SAME_UPPER")
	picture = Dims("n", 6, "h", 9)
)

var windowCases = []inferCase{
	{"Conv", image("Conv", picture, []Shape{Dims(4, 6, 3, 3)}), "float [n 4 h - 2 7]"},
	{"Conv, padded", image("Conv", picture, []Shape{Dims(4, 6, 3, 3)}, around1), "float [n 4 h 9]"},
	{"Conv, strided", image("Conv", picture, []Shape{Dims(4, 6, 3, 3)}, around1, stride2), "float [n 4 ? 5]"},
	{"Conv, dilated", image("Conv", picture, []Shape{Dims(4, 6, 3, 3)}, IntsAttr("dilations", 2, 3)), "float [n 4 h - 4 3]"},
	{"Conv, same size", image("Conv", picture, []Shape{Dims(3, 2, 3, 2)}, upper, IntAttr("group", 3)), "float [n 3 h 9]"},
	{"Conv, half the size", image("Conv", picture, []Shape{Dims(4, 6, 3, 2)}, upper, stride2), "float [n 4 ? 5]"},
	{"Conv over one axis", image("Conv", Dims(2, 3, "t"), []Shape{Dims(5, 3, 4)}, IntsAttr("pads", 2, 1)), "float [2 5 t]"},
	{"Conv of a symbolic window", image("Conv", picture, []Shape{Dims("m", 6, "k", 3)}), "float [n m ? 7]"},
	{"ConvTranspose", image("ConvTranspose", picture, []Shape{Dims(6, 2, 3, 3)}, IntAttr("group", 2)), "float [n 4 h + 2 11]"},
	{"ConvTranspose, strided", image("ConvTranspose", picture, []Shape{Dims(6, 2, 3, 3)}, around1, stride2, IntsAttr("output_padding", 1, 1)),
		"float [n 2 2*h 18]"},
	{"ConvTranspose, same size", image("ConvTranspose", picture, []Shape{Dims(6, 2, 3, 3)}, upper, stride2), "float [n 2 2*h 18]"},
	{"ConvTranspose to a size", image("ConvTranspose", picture, []Shape{Dims(6, 2, 3, 3)}, stride2, IntsAttr("output_shape", 12, 19)), "float [n 2 12 19]"},
	{"MaxPool", image("MaxPool", picture, nil, kernel3, stride2), "float [n 6 ? 4]"},
	{"MaxPool's places", func(b *Builder) string {
		return b.Node("", "MaxPool", []string{in(b, "n", 2, 8)}, 2, IntsAttr("kernel_shape", 3), IntsAttr("strides", 2), IntAttr("ceil_mode", 1))[1]
	}, "int64 [n 2 4]"},
	{"AveragePool", image("AveragePool", picture, nil, kernel3, around1), "float [n 6 h 9]"},
	{"LpPool", image("LpPool", picture, nil, kernel3), "float [n 6 h - 2 7]"},
	{"GlobalAveragePool", image("GlobalAveragePool", picture, nil), "float [n 6 1 1]"},
	{"MaxUnpool", func(b *Builder) string {
		return b.Op("MaxUnpool", []string{in(b, 1, 1, "h"), ints(b, 1, 1, "h")}, IntsAttr("kernel_shape", 2), IntsAttr("strides", 2))
	}, "float [1 1 2*h]"},
	{"Resize by factors", resizing(picture, []float32{1, 1, 2, 0.7}, nil), "float [n 6 2*h 6]"},
	{"Resize by a factor of a symbol", resizing(picture, []float32{1, 1, 1.5, 1.5}, nil), "float [n 6 ? 13]"},
	{"Resize to sizes", resizing(picture, nil, []int64{5, 12}, IntsAttr("axes", 2, -1)), "float [n 6 5 12]"},
	{"GridSample", image("GridSample", picture, []Shape{Dims("n", 5, "w", 2)}), "float [n 6 5 w]"},
	{"AffineGrid", func(b *Builder) string { return on(b, "AffineGrid", in(b, 2, 2, 3), b.Ints(2, 1, 4, 5)) }, "float [2 4 5 2]"},
	{"BatchNormalization", image("BatchNormalization", picture, []Shape{Dims(6), Dims(6), Dims(6), Dims(6)}), "float [n 6 h 9]"},
}
