package autodiff

import (
	"fmt"

	"metalora/onnx"
)

// op is an operator: its domain ("" is ONNX's own) and name.
type op struct{ domain, name string }

func (o op) String() string {
	if o.domain == "" {
		return o.name
	}
	return o.domain + "::" + o.name
}

// formula appends the cotangent of input i of n, given the cotangent dy of the node's first output.
type formula func(b *builder, n *onnx.Node, dy value, i int) value

// rule is what the engine knows about one operator.
type rule struct {
	formula formula
	inputs  inputs // that have a gradient

	// broadcasts says that inputs may be smaller than the output: the formula's result has the output's shape, and the
	// engine sums it to the input's.
	broadcasts bool
	// allOutputs says that the formula fetches the cotangents of the outputs itself: dy may be empty.
	allOutputs bool
	// ignores are the inputs that lend only their type or shape: no gradient takes this way.
	ignores inputs
	// expansion writes the operator as others, in place of a formula or where that is of no use.
	expansion expansion
	// obstacle says why a particular node has no gradient, or nothing.
	obstacle func(b *builder, n *onnx.Node) string
}

// inputs is a set of input positions, as bits.
type inputs uint64

// every is the set for operators with any number of like inputs.
const every = ^inputs(0)

func wrt(positions ...int) (set inputs) {
	for _, i := range positions {
		set |= 1 << i
	}
	return set
}

func (s inputs) has(i int) bool { return s>>min(i, 63)&1 == 1 }

// each is the rule of an operator whose inputs broadcast against each other.
func each(f formula, in inputs) rule { return rule{formula: f, inputs: in, broadcasts: true} }

// exact is the rule of an operator whose formula gives the input's own shape.
func exact(f formula, in inputs) rule { return rule{formula: f, inputs: in} }

// unless is a rule that some nodes have no use of.
func (r rule) unless(obstacle func(b *builder, n *onnx.Node) string) rule {
	r.obstacle = obstacle
	return r
}

// rules is everything that has a gradient.
var rules = map[op]rule{
	{"", "Add"}:      each(add, wrt(0, 1)),
	{"", "Sub"}:      each(sub, wrt(0, 1)),
	{"", "Mul"}:      each(mul, wrt(0, 1)),
	{"", "Div"}:      each(div, wrt(0, 1)),
	{"", "Mod"}:      each(mod, wrt(0, 1)),
	{"", "Pow"}:      each(pow, wrt(0, 1)),
	{"", "Min"}:      each(extreme, every),
	{"", "Max"}:      each(extreme, every),
	{"", "Sum"}:      each(pass, every),
	{"", "Mean"}:     each(mean, every),
	{"", "Where"}:    each(where, wrt(1, 2)),
	{"", "Clip"}:     each(clip, wrt(0, 1, 2)),
	{"", "Cast"}:     exact(cast, wrt(0)),
	{"", "CastLike"}: {formula: cast, inputs: wrt(0), ignores: wrt(1)},
	{"", "Identity"}: exact(pass, wrt(0)),
	{"", "Dropout"}:  exact(pass, wrt(0)).unless(drops),

	{"", "Neg"}:        exact(neg, wrt(0)),
	{"", "Abs"}:        exact(abs, wrt(0)),
	{"", "Sqrt"}:       exact(sqrt, wrt(0)),
	{"", "Reciprocal"}: exact(reciprocal, wrt(0)),
	{"", "Exp"}:        exact(exp, wrt(0)),
	{"", "Log"}:        exact(log, wrt(0)),
	{"", "Sin"}:        exact(sin, wrt(0)),
	{"", "Cos"}:        exact(cos, wrt(0)),
	{"", "Tan"}:        exact(tan, wrt(0)),
	{"", "Asin"}:       exact(asin, wrt(0)),
	{"", "Acos"}:       exact(acos, wrt(0)),
	{"", "Atan"}:       exact(atan, wrt(0)),
	{"", "Sinh"}:       exact(sinh, wrt(0)),
	{"", "Cosh"}:       exact(cosh, wrt(0)),
	{"", "Asinh"}:      exact(asinh, wrt(0)),
	{"", "Acosh"}:      exact(acosh, wrt(0)),
	{"", "Atanh"}:      exact(atanh, wrt(0)),

	{"", "Tanh"}:            exact(tanh, wrt(0)),
	{"", "Sigmoid"}:         exact(sigmoid, wrt(0)),
	{"", "Softplus"}:        exact(softplus, wrt(0)),
	{"", "Softsign"}:        exact(softsign, wrt(0)),
	{"", "Relu"}:            exact(relu, wrt(0)),
	{"", "LeakyRelu"}:       exact(leakyRelu, wrt(0)),
	{"", "PRelu"}:           each(prelu, wrt(0, 1)),
	{"", "ThresholdedRelu"}: exact(thresholdedRelu, wrt(0)),
	{"", "Elu"}:             exact(elu, wrt(0)),
	{"", "Celu"}:            exact(celu, wrt(0)),
	{"", "Selu"}:            exact(selu, wrt(0)),
	{"", "HardSigmoid"}:     exact(hardSigmoid, wrt(0)),
	{"", "HardSwish"}:       exact(hardSwish, wrt(0)),
	{"", "Mish"}:            exact(mish, wrt(0)),
	{"", "Shrink"}:          exact(shrink, wrt(0)),
	{"", "Erf"}:             exact(erf, wrt(0)),
	{"", "Gelu"}:            exact(gelu, wrt(0)),
	{"", "Swish"}:           exact(swish, wrt(0)),

	{"", "MatMul"}: exact(matMul, wrt(0, 1)).unless(factorUnknown),
	{"", "Gemm"}:   exact(gemm, wrt(0, 1, 2)),
	{"", "Einsum"}: exact(einsum, every).unless(einsumOtherwise),
	{"", "Det"}:    exact(det, wrt(0)).unless(rankUnknown(0)),

	{"", "Conv"}:          rule{formula: conv, inputs: wrt(0, 1, 2), expansion: padSame}.unless(unwindowed),
	{"", "ConvTranspose"}: exact(convTranspose, wrt(0, 1, 2)).unless(unwindowed),

	{"", "MaxPool"}:           exact(maxPool, wrt(0)),
	{"", "MaxUnpool"}:         {formula: maxUnpool, inputs: wrt(0), ignores: wrt(1, 2)},
	{"", "AveragePool"}:       exact(averagePool, wrt(0)),
	{"", "LpPool"}:            exact(lpPool, wrt(0)),
	{"", "GlobalAveragePool"}: expanded(globalAveragePool).unless(rankUnknown(0)),
	{"", "GlobalMaxPool"}:     expanded(globalMaxPool).unless(rankUnknown(0)),
	{"", "Resize"}:            rule{formula: resize, inputs: wrt(0)}.unless(resizesOtherwise),
	{"", "GridSample"}:        rule{expansion: gridSample, inputs: wrt(0, 1)}.unless(rankUnknown(0)),
	{"", "AffineGrid"}:        {formula: affineGrid, inputs: wrt(0), ignores: wrt(1), obstacle: gridUnknown},
	{"", "GlobalLpPool"}:      exact(globalLpPool, wrt(0)),
	{"", "DeformConv"}:        expanded(deformConv).unless(deformsOtherwise),
	{"", "RoiAlign"}:          expanded(roiAlign).unless(alignsOtherwise),
	{"", "MaxRoiPool"}:        expanded(maxRoiPool),

	{"", "Reshape"}:         exact(reshape, wrt(0)),
	{"", "Flatten"}:         exact(reshape, wrt(0)),
	{"", "Squeeze"}:         exact(reshape, wrt(0)),
	{"", "Unsqueeze"}:       exact(reshape, wrt(0)),
	{"", "Transpose"}:       exact(transpose, wrt(0)),
	{"", "Concat"}:          exact(concat, every),
	{"", "Split"}:           {formula: split, inputs: wrt(0), allOutputs: true},
	{"", "Expand"}:          each(pass, wrt(0)),
	{"", "Tile"}:            exact(tile, wrt(0)).unless(rankUnknown(0)),
	{"", "Pad"}:             exact(pad, wrt(0, 2)),
	{"", "CenterCropPad"}:   exact(centerCropPad, wrt(0)),
	{"", "Trilu"}:           exact(trilu, wrt(0)),
	{"", "DepthToSpace"}:    exact(depthToSpace, wrt(0)),
	{"", "SpaceToDepth"}:    exact(spaceToDepth, wrt(0)),
	{"", "Col2Im"}:          exact(col2Im, wrt(0)).unless(foldsWrongly),
	{"", "ReverseSequence"}: exact(reverseSequence, wrt(0)),

	{"", "ReduceSum"}:       exact(reduceSum, wrt(0)),
	{"", "ReduceMean"}:      exact(reduceMean, wrt(0)),
	{"", "ReduceMax"}:       exact(reduceExtreme, wrt(0)),
	{"", "ReduceMin"}:       exact(reduceExtreme, wrt(0)),
	{"", "ReduceL1"}:        exact(reduceL1, wrt(0)),
	{"", "ReduceL2"}:        exact(reduceL2, wrt(0)),
	{"", "ReduceSumSquare"}: exact(reduceSumSquare, wrt(0)),
	{"", "ReduceLogSumExp"}: exact(reduceLogSumExp, wrt(0)),
	{"", "ReduceLogSum"}:    exact(reduceLogSum, wrt(0)),
	{"", "ReduceProd"}:      exact(reduceProd, wrt(0)),
	{"", "CumSum"}:          exact(cumSum, wrt(0)),
	{"", "CumProd"}:         exact(cumProd, wrt(0)),

	{"", "NegativeLogLikelihoodLoss"}: exact(logLikelihoodLoss, wrt(0, 2)).unless(rankUnknown(0)),
	{"", "SoftmaxCrossEntropyLoss"}:   {formula: crossEntropyLoss, inputs: wrt(0, 2), allOutputs: true, obstacle: rankUnknown(0)},

	{"", "Softmax"}:            exact(softmax, wrt(0)),
	{"", "LogSoftmax"}:         exact(logSoftmax, wrt(0)),
	{"", "LayerNormalization"}: exact(layerNorm, wrt(0, 1, 2)).unless(rankUnknown(0)),

	{"", "RMSNormalization"}:             exact(rmsNorm, wrt(0, 1)).unless(rankUnknown(0)),
	{"", "SimplifiedLayerNormalization"}: exact(rmsNorm, wrt(0, 1)).unless(rankUnknown(0)),
	{"", "InstanceNormalization"}:        exact(instanceNorm, wrt(0, 1, 2)).unless(rankUnknown(0)),
	{"", "BatchNormalization"}:           exact(batchNorm, wrt(0, 1, 2, 3, 4)).unless(trains),
	{"", "GroupNormalization"}:           expanded(groupNorm).unless(rankUnknown(0)),
	{"", "MeanVarianceNormalization"}:    exact(meanVarianceNorm, wrt(0)),
	{"", "LpNormalization"}:              exact(lpNorm, wrt(0)),
	{"", "LRN"}:                          exact(localResponseNorm, wrt(0)),

	{"", "SequenceAt"}:         expanded(sequenceAt).unless(sequenceUnknown),
	{"", "ConcatFromSequence"}: expanded(concatFromSequence).unless(sequenceUnknown),

	{"", "Slice"}:           exact(slice, wrt(0)),
	{"", "Gather"}:          exact(gather, wrt(0)).unless(rankUnknown(0)),
	{"", "GatherElements"}:  exact(gatherElements, wrt(0)),
	{"", "GatherND"}:        exact(gatherND, wrt(0)),
	{"", "ScatterElements"}: exact(scatterElements, wrt(0, 2)),
	{"", "ScatterND"}:       {formula: scatterND, inputs: wrt(0, 2), expansion: scatterFlat},
	{"", "TensorScatter"}:   exact(tensorScatter, wrt(0, 1)),
	{"", "TopK"}:            exact(topK, wrt(0)),
	{"", "Compress"}:        exact(compress, wrt(0)),
	{"", "OneHot"}:          exact(oneHot, wrt(2)),

	{microsoft, "Gelu"}:        exact(gelu, wrt(0)),
	{microsoft, "BiasGelu"}:    each(biasGelu, wrt(0, 1)),
	{microsoft, "FastGelu"}:    each(fastGelu, wrt(0, 1)),
	{microsoft, "QuickGelu"}:   exact(quickGelu, wrt(0)),
	{microsoft, "FusedMatMul"}: rule{formula: fusedMatMul, inputs: wrt(0, 1), expansion: unfusedMatMul}.unless(fusesOtherwise),
	{microsoft, "FusedGemm"}:   expanded(fusedGemm),
	{microsoft, "FusedConv"}:   expanded(fusedConv),

	{microsoft, "SkipLayerNormalization"}:           expanded(skipLayerNorm).unless(rankUnknown(0)),
	{microsoft, "SkipSimplifiedLayerNormalization"}: expanded(skipSimplifiedNorm).unless(rankUnknown(0)),
	{microsoft, "EmbedLayerNormalization"}:          expanded(embedLayerNorm),

	{"", "Attention"}:                 expanded(standardAttention).unless(rankUnknown(0)),
	{"", "RotaryEmbedding"}:           expanded(rotary).unless(rankUnknown(0)),
	{microsoft, "RotaryEmbedding"}:    expanded(fusedRotary).unless(rankUnknown(0, 1)),
	{microsoft, "Attention"}:          expanded(fusedAttention).unless(attendsOtherwise),
	{microsoft, "MultiHeadAttention"}: expanded(multiHead).unless(attendsOtherwise),

	{microsoft, "GroupQueryAttention"}: expanded(groupQuery).unless(groupsOtherwise),
}

// zeroGradient is what has a float output that is constant wherever it is differentiable, or that depends on no more than
// its inputs' shapes: the walk ends there.
var zeroGradient = setOf("Sign", "Floor", "Ceil", "Round", "Hardmax", "EyeLike", "RandomNormalLike", "RandomUniformLike")

// refused says why operators that could have a rule have none.
var refused = map[op]string{
	{"", "Unique"}: "which elements it leaves depends on their values",
	{"", "Range"}:  "its inputs decide a shape",

	{"", "Bernoulli"}: random,
	{"", "BitCast"}:   "the bits of a number are no function of it that has a gradient",

	{"", "RNN"}: recurrent, {"", "LSTM"}: recurrent, {"", "GRU"}: recurrent,
	{"", "If"}: controlFlow, {"", "Loop"}: controlFlow, {"", "Scan"}: controlFlow, {"", "SequenceMap"}: controlFlow,
	{"", "DFT"}: signal, {"", "STFT"}: signal, {"", "MelWeightMatrix"}: signal,
	{"", "HannWindow"}: signal, {"", "HammingWindow"}: signal, {"", "BlackmanWindow"}: signal,

	{"", "SequenceConstruct"}: sequence, {"", "SequenceInsert"}: sequence, {"", "SequenceErase"}: sequence, {"", "SplitToSequence"}: sequence,
	{"", "Optional"}: sequence, {"", "OptionalGetElement"}: sequence,
	{"", "DequantizeLinear"}: quantised, {"", "DynamicQuantizeLinear"}: quantised,
	{"", "SwiGLU"}: newer, {"", "CausalConvWithState"}: newer, {"", "LinearAttention"}: newer,
	{"", "Scatter"}: replaced, {"", "Upsample"}: replaced,
}

const (
	recurrent   = "recurrent operators are not differentiated"
	controlFlow = "control flow is not differentiated"
	signal      = "signal transforms are not differentiated"
	sequence    = "sequences are followed from SequenceAt and ConcatFromSequence back to a SequenceConstruct or SplitToSequence, and no other way"
	quantised   = "quantised arithmetic is not differentiated"
	random      = "it draws at random"
	newer       = "it is newer than the pinned runtime"
	replaced    = "ONNX replaced it before the oldest operator set that is differentiated"
)

// setOf is a set of operators of ONNX's own.
func setOf(names ...string) map[op]bool {
	set := map[op]bool{}
	for _, name := range names {
		set[op{"", name}] = true
	}
	return set
}

// rankUnknown is the obstacle of a node whose rule needs the number of dimensions of some inputs.
func rankUnknown(positions ...int) func(b *builder, n *onnx.Node) string {
	return func(b *builder, n *onnx.Node) string {
		for _, i := range positions {
			if b.rank(n.Input(i)) < 0 {
				return "its rule needs the number of dimensions of its input " + inputName(n, i) + ", which is not known"
			}
		}
		return ""
	}
}

// inputName tells one input of a node from the others.
func inputName(n *onnx.Node, i int) string { return fmt.Sprintf("%d (%s)", i, n.Input(i)) }
