package onnx

// shapeRule records the outputs of one node. Its error says which inputs can't fit each other.
type shapeRule func(*site) error

// microsoft is the domain of ONNX Runtime's own operators.
const microsoft = "com.microsoft"

// shapeRules has the rule of every operator that Infer knows.
var shapeRules = map[operator]shapeRule{
	{"", "Where"}: where, {"", "Cast"}: cast, {"", "CastLike"}: cast,
	{"", "Pow"}: pow, {"", "PRelu"}: sameAsFirst, {"", "Dropout"}: dropout,
	{"", "Identity"}: identity, {"", "Neg"}: negate,

	{"", "MatMul"}: matMul, {"", "MatMulInteger"}: matMul, {"", "Gemm"}: gemm,
	{"", "Einsum"}: einsum, {"", "Det"}: det, {"", "NegativeLogLikelihoodLoss"}: loss, {"", "SoftmaxCrossEntropyLoss"}: loss,

	{"", "Reshape"}: reshape, {"", "Flatten"}: flatten, {"", "Transpose"}: transpose,
	{"", "Squeeze"}: squeeze, {"", "Unsqueeze"}: unsqueeze,
	{"", "Expand"}: expand, {"", "Tile"}: tile, {"", "Pad"}: pad,

	{"", "Concat"}: concat, {"", "Split"}: split, {"", "Slice"}: slice,
	{"", "Gather"}: gather, {"", "GatherElements"}: gatherElements, {"", "GatherND"}: gatherND,
	{"", "ScatterElements"}: sameAsFirst, {"", "ScatterND"}: sameAsFirst, {"", "Scatter"}: sameAsFirst,
	{"", "TopK"}: topK, {"", "OneHot"}: oneHot, {"", "NonZero"}: nonZero,
	{"", "TensorScatter"}: sameAsFirst, {"", "Compress"}: compress,
	{"", "DepthToSpace"}: depthToSpace, {"", "SpaceToDepth"}: spaceToDepth, {"", "CenterCropPad"}: centerCropPad, {"", "Col2Im"}: col2Im,

	{"", "Constant"}: constantNode, {"", "ConstantOfShape"}: constantOfShape, {"", "Range"}: rangeNode,
	{"", "Shape"}: shapeNode, {"", "Size"}: sizeNode, {"", "EyeLike"}: likeFirst,
	{"", "RandomNormalLike"}: likeFirst, {"", "RandomUniformLike"}: likeFirst, {"", "Bernoulli"}: likeFirst,

	{"", "ArgMax"}: argMax, {"", "ArgMin"}: argMax,

	{"", "LayerNormalization"}: layerNorm, {"", "SimplifiedLayerNormalization"}: layerNorm,
	{"", "QuantizeLinear"}: quantize, {"", "DequantizeLinear"}: dequantize, {"", "DynamicQuantizeLinear"}: dynamicQuantize,

	{"", "Conv"}: conv, {"", "ConvTranspose"}: convTranspose,
	{"", "MaxPool"}: pool, {"", "AveragePool"}: pool, {"", "LpPool"}: pool, {"", "MaxUnpool"}: maxUnpool,
	{"", "GlobalAveragePool"}: globalPool, {"", "GlobalMaxPool"}: globalPool, {"", "GlobalLpPool"}: globalPool,
	{"", "Attention"}: standardAttention, {"", "RotaryEmbedding"}: sameAsFirst, {microsoft, "RotaryEmbedding"}: sameAsFirst,
	{"", "Resize"}: resize, {"", "DeformConv"}: deformConv, {"", "GridSample"}: gridSample, {"", "AffineGrid"}: affineGrid, {"", "RoiAlign"}: roiAlign,

	{microsoft, "FusedConv"}: conv,
	{microsoft, "Inverse"}:   sameAsFirst, {microsoft, "FusedMatMul"}: matMul, {microsoft, "FusedGemm"}: gemm,
	{microsoft, "SkipLayerNormalization"}: skipLayerNorm, {microsoft, "SkipSimplifiedLayerNormalization"}: skipLayerNorm,
	{microsoft, "EmbedLayerNormalization"}: embedLayerNorm,
	{microsoft, "Attention"}:               attention, {microsoft, "MultiHeadAttention"}: multiHeadAttention,
}

func init() {
	families := []struct {
		rule   shapeRule
		domain string
		ops    []string
	}{
		{sameAsFirst, "", []string{
			"Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Celu", "Clip", "Cos", "Cosh", "CumProd", "CumSum",
			"Elu", "Erf", "Exp", "Floor", "Gelu", "GroupNormalization", "HardSigmoid", "HardSwish", "Hardmax",
			"InstanceNormalization", "LRN", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "MeanVarianceNormalization", "Mish",
			"RMSNormalization", "Reciprocal", "Relu", "ReverseSequence", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh",
			"Softmax", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Trilu", "BatchNormalization"}},
		{sameAsFirst, microsoft, []string{"Gelu", "FastGelu", "BiasGelu", "QuickGelu", "BiasSoftmax", "Trilu"}},
		{truth, "", []string{"Not", "IsNaN", "IsInf"}},
		{arithmetic, "", []string{"Add", "Sub", "Mul", "Div", "Mod", "Max", "Min", "Sum", "Mean",
			"BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor"}},
		{compare, "", []string{"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}},
		{logic, "", []string{"And", "Or", "Xor"}},
		{reduce, "", []string{"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
			"ReduceProd", "ReduceSum", "ReduceSumSquare"}},
	}
	for _, f := range families {
		for _, op := range f.ops {
			shapeRules[operator{f.domain, op}] = f.rule
		}
	}
}
