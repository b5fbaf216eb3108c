package onnx

import "testing"

// own applies an operator of package kernels and looks at one of its outputs.
func own(op string, outputs, look int, inputs func(b *Builder) []string, attrs ...Attr) func(*Builder) string {
	return func(b *Builder) string { return b.Node(ours, op, inputs(b), outputs, attrs...)[look] }
}

// floats declares an input for each shape; an empty one is absent.
func floats(shapes ...Shape) func(b *Builder) []string {
	return func(b *Builder) []string {
		var inputs []string
		for _, shape := range shapes {
			if len(shape) == 0 {
				inputs = append(inputs, "")
			} else {
				inputs = append(inputs, in(b, dims(shape)...))
			}
		}
		return inputs
	}
}

// booleans makes those of a node's inputs that stand at the given places booleans.
func booleans(inputs func(b *Builder) []string, at ...int) func(b *Builder) []string {
	return func(b *Builder) []string {
		all := inputs(b)
		for _, i := range at {
			for j := range b.Graph.Inputs {
				if b.Graph.Inputs[j].Name == all[i] {
					b.Graph.Inputs[j].Type = Bool
				}
			}
		}
		return all
	}
}

var (
	cube       = Dims("n", 3, "m")
	twins      = floats(cube, cube)
	masked     = booleans(floats(cube, cube, cube), 1)
	normInputs = floats(Dims("n", 8), Dims("n", 8), Dims("n", 1), Dims("n", 1), Dims(8))
	normSum    = floats(Dims("n", 8), Dims("n", 8), Dims("n", 1), Dims("n", 1), Dims(8), Dims("n", 8), nil, Dims("n", 8))
	erf        = IntAttr("tanh", 0)

	// A [n, 4] by B [4, m].
	gemmInputs = floats(nil, Dims("n", 4), Dims(4, "m"))
	// The same with all that may be beside it, A turned and B2 too.
	gemmAll = booleans(floats(Dims("n", "m"), Dims(4, "n"), Dims(4, "m"), Dims("m"), Dims(4, "n"), Dims(4, "m"), Dims("n", "m"),
		Dims("n", 2), Dims("m", 2), Dims("n", "m")), 4, 5, 6, 9)

	query, keys, seen, kept = Dims("rows*length", 8), Dims("rows*m", 8), Dims("rows", 1, 1, "m"), Dims("rows", 2, "length", "m")
	saved                   = Dims("rows", 2, "length", 2)
	attends                 = floats(query, keys, keys, seen)
	attendsDropped          = booleans(floats(query, keys, keys, seen, kept), 4)
	attendsBack             = floats(query, query, keys, keys, seen, saved)
	attendsBackDropped      = booleans(floats(query, query, keys, keys, seen, saved, kept), 6)
	oneQuery                = floats(Dims("rows", 8), keys, keys, seen)
	together                = floats(Dims(7, 8), Dims(7, 8), Dims(7, 8), seen) // 7 tokens of packed rows
	togetherOne             = floats(Dims("rows", 8), Dims(7, 8), Dims(7, 8), seen)
)

func gemmAttrs(transA, transB2 int64) []Attr {
	return []Attr{IntAttr("transA", transA), IntAttr("transB", 0), FloatAttr("alpha", 1), IntAttr("transB2", transB2), FloatAttr("alpha2", 1)}
}

func headAttrs() []Attr { return lying(0) }

// lying are attention's attributes for rows that are padded (0), packed (1), or packed with one query each (2).
func lying(packed int64) []Attr {
	return []Attr{IntAttr("heads", 2), FloatAttr("scale", 0.5), FloatAttr("factor", 1), IntAttr("packed", packed)}
}

var kernelCases = []inferCase{
	{"Gelu of ours", own("Gelu", 1, 0, floats(Dims("n", 4)), erf), "float [n 4]"},
	{"GeluGrad", own("GeluGrad", 2, 0, twins, erf), "float [n 3 m]"},
	{"GeluGrad's sum", own("GeluGrad", 2, 1, twins, erf), "float [m]"},
	{"Mask", own("Mask", 1, 0, booleans(twins, 1)), "float [n 3 m]"},
	{"Mask's sum, of a sum", own("Mask", 2, 1, masked), "float [m]"},
	{"ColumnSum", own("ColumnSum", 1, 0, floats(Dims("n", 4))), "float [4]"},
	{"ColumnSum of what has no rank", own("ColumnSum", 1, 0, func(b *Builder) []string { return []string{b.Op("Loop", []string{in(b, 1)})} }), "undefined [?]"},
	{"LayerNormalizationGrad", own("LayerNormalizationGrad", 3, 0, normInputs), "float [n 8]"},
	{"LayerNormalizationGrad's weight", own("LayerNormalizationGrad", 3, 1, normInputs), "float [8]"},
	{"LayerNormalizationGrad's bias, of a sum", own("LayerNormalizationGrad", 3, 2, normSum), "float [8]"},
	{"Gemm of ours", own("Gemm", 1, 0, gemmInputs, gemmAttrs(0, 0)...), "float [n m]"},
	{"Gemm of ours with everything", own("Gemm", 1, 0, gemmAll, gemmAttrs(1, 1)...), "float [n m]"},
	{"Attention of ours", own("Attention", 1, 0, attends, headAttrs()...), "float [length*rows 8]"},
	{"Attention's statistics", own("Attention", 2, 1, attends, headAttrs()...), "float [rows 2 length 2]"},
	{"Attention with dropout", own("Attention", 2, 0, attendsDropped, headAttrs()...), "float [length*rows 8]"},
	{"Attention of one query", own("Attention", 2, 1, oneQuery, headAttrs()...), "float [rows 2 1 2]"},
	{"AttentionGrad by queries", own("AttentionGrad", 3, 0, attendsBack, headAttrs()...), "float [length*rows 8]"},
	{"AttentionGrad by keys", own("AttentionGrad", 3, 1, attendsBackDropped, headAttrs()...), "float [m*rows 8]"},
	{"AttentionGrad by values", own("AttentionGrad", 3, 2, attendsBack, headAttrs()...), "float [m*rows 8]"},
}

// TestShapesOfPackedRows: attention's statistics have room for the queries of the longest row. (What such rows need to run, the
// values of an input say: package kernels tests that.)
func TestShapesOfPackedRows(t *testing.T) {
	for want, build := range map[string]func(*Builder) string{
		"[rows 2 m 2]": own("Attention", 2, 1, together, lying(1)...),
		"[rows 2 1 2]": own("Attention", 2, 1, togetherOne, lying(2)...),
	} {
		b := NewBuilder(&Graph{})
		y := build(b)
		b.Output(y, Float)
		values, err := Infer(NewModel(b.Graph))
		if err != nil || values[y].Shape.String() != want {
			t.Errorf("%v (%v), want %s", values[y].Shape, err, want)
		}
	}
}
