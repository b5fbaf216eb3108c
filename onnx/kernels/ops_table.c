//go:build cgo && (linux || darwin)

#include "ops.h"

OrtStatus *ml_op_gemm(ml_call *call);

// ml_ops has all operators. What each computes is said at its function.
const ml_op ml_ops[] = {
	{"Gemm", "fff?f?b?b?b?f?f?b?", "f", ml_op_gemm, {{"transA", 'i'}, {"transB", 'i'}, {"alpha", 'f'}, {"transB2", 'i'}, {"alpha2", 'f'}}},
};

const size_t ml_ops_count = sizeof ml_ops / sizeof ml_ops[0];
