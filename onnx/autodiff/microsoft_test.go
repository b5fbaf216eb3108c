package autodiff

import "metalora/onnx"

var microsoftCases = map[op][]testCase{
	{microsoft, "Gelu"}:     inFloat(nodeOf(microsoft, "Gelu", nil, of(anything, dims(2, 3))...)),
	{microsoft, "BiasGelu"}: inFloat(nodeOf(microsoft, "BiasGelu", nil, of(anything, dims(2, 3), dims(3))...), nodeOf(microsoft, "BiasGelu", nil, of(anything, dims(2, 1, 5), dims(5))...)),
	{microsoft, "FastGelu"}: inFloat(nodeOf(microsoft, "FastGelu", nil, of(anything, dims(2, 3), dims(3))...), nodeOf(microsoft, "FastGelu", nil, of(anything, dims(5))...)),
	{microsoft, "QuickGelu"}: inFloat(nodeOf(microsoft, "QuickGelu", nil, of(anything, dims(2, 3))...),
		nodeOf(microsoft, "QuickGelu", []onnx.Attr{onnx.FloatAttr("alpha", 0.8)}, of(anything, dims(5))...)),
	{microsoft, "FusedMatMul"}: fused(),
}

// inFloat marks cases that ONNX Runtime has no double kernels for.
func inFloat(cs ...testCase) []testCase {
	for i := range cs {
		cs[i].single = true
	}
	return cs
}
