//go:build cgo && (linux || darwin)

#include "ops.h"

OrtStatus *ml_op_gemm(ml_call *call);
OrtStatus *ml_op_gelu(ml_call *call);
OrtStatus *ml_op_gelu_grad(ml_call *call);
OrtStatus *ml_op_norm_grad(ml_call *call);
OrtStatus *ml_op_column_sum(ml_call *call);
OrtStatus *ml_op_mask(ml_call *call);
OrtStatus *ml_op_attention(ml_call *call);
OrtStatus *ml_op_attention_grad(ml_call *call);

// ml_ops has all operators. What each computes is said at its function.
const ml_op ml_ops[] = {
	{"Gemm", "f?fff?b?b?b?f?f?b?", "f", ml_op_gemm, {{"transA", 'i'}, {"transB", 'i'}, {"alpha", 'f'}, {"transB2", 'i'}, {"alpha2", 'f'}}, .in_place = true},
	{"Gelu", "f", "f", ml_op_gelu, {{"tanh", 'i'}}, .in_place = true},
	{"GeluGrad", "ff", "ff?", ml_op_gelu_grad, {{"tanh", 'i'}}, .in_place = true},
	{"LayerNormalizationGrad", "ffffff?f?f?f?f?f?f?f?", "ff?f?", ml_op_norm_grad, .in_place = true},
	{"ColumnSum", "f", "f", ml_op_column_sum},
	{"Attention", "ffffb?i?", "ff?", ml_op_attention, {{"heads", 'i'}, {"scale", 'f'}, {"factor", 'f'}, {"packed", 'i'}}, .in_place = true},
	{"AttentionGrad", "ffffffb?i?", "f?f?f?", ml_op_attention_grad, {{"heads", 'i'}, {"scale", 'f'}, {"factor", 'f'}, {"packed", 'i'}}, .in_place = true},
	{"Mask", "fbf?", "ff?", ml_op_mask, .in_place = true},
};

const size_t ml_ops_count = sizeof ml_ops / sizeof ml_ops[0];
