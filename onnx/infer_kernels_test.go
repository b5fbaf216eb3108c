package onnx

// own applies an operator of package kernels and looks at one of its outputs.
func own(op string, outputs, look int, inputs func(b *Builder) []string) func(*Builder) string {
	return func(b *Builder) string { return b.Node("metalora", op, inputs(b), outputs)[look] }
}

func twins(b *Builder) []string { return []string{in(b, "n", 3, "m"), in(b, "n", 3, "m")} }

func normInputs(b *Builder) []string {
	return []string{in(b, "n", 8), in(b, "n", 8), in(b, "n", 1), in(b, "n", 1), in(b, 8)}
}

var kernelCases = []inferCase{
	{"Gelu of ours", own("Gelu", 1, 0, func(b *Builder) []string { return []string{in(b, "n", 4)} }), "float [n 4]"},
	{"GeluGrad", own("GeluGrad", 2, 0, twins), "float [n 3 m]"},
	{"GeluGrad's sum", own("GeluGrad", 2, 1, twins), "float [m]"},
	{"Mask", own("Mask", 1, 0, twins), "float [n 3 m]"},
	{"Mask's sum", own("Mask", 2, 1, twins), "float [m]"},
	{"ColumnSum", own("ColumnSum", 1, 0, func(b *Builder) []string { return []string{in(b, "n", 4)} }), "float [4]"},
	{"ColumnSum of what has no rank", own("ColumnSum", 1, 0, func(b *Builder) []string { return []string{b.Op("Loop", []string{in(b, 1)})} }), "undefined [?]"},
	{"LayerNormalizationGrad", own("LayerNormalizationGrad", 3, 0, normInputs), "float [n 8]"},
	{"LayerNormalizationGrad's weight", own("LayerNormalizationGrad", 3, 1, normInputs), "float [8]"},
	{"LayerNormalizationGrad's bias", own("LayerNormalizationGrad", 3, 2, normInputs), "float [8]"},
}
