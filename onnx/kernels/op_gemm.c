//go:build cgo && (linux || darwin)

#include "ops.h"

// matrix is a factor of a product: an input that may be transposed by strides alone.
typedef struct {
	int64_t rows, cols;
	size_t row, col; // elements from one row or column to the next
} matrix;

static matrix as_matrix(const ml_tensor *t, bool transposed) {
	size_t width = t->dims[1];
	if (transposed) return (matrix){t->dims[1], t->dims[0], 1, width};
	return (matrix){t->dims[0], t->dims[1], width, 1};
}

// Gemm: Y [M, N] = alpha · op(A)·op(B), where op transposes its matrix if transA or transB says so. ONNX's without C.
OrtStatus *ml_op_gemm(ml_call *call) {
	ml_try(ml_rank(call, 0, 2));
	ml_try(ml_rank(call, 1, 2));
	matrix a = as_matrix(&call->in[0], call->attr[0].i != 0), b = as_matrix(&call->in[1], call->attr[1].i != 0);
	if (a.cols != b.rows) {
		return ml_fail(call, "[%lld, %lld] x [%lld, %lld]: the inner dimensions differ", (long long)a.rows, (long long)a.cols,
		               (long long)b.rows, (long long)b.cols);
	}
	void *y = NULL;
	ml_try(ml_output(call, 0, (int64_t[]){a.rows, b.cols}, 2, &y));
	ml_product p = {
		.m = a.rows, .n = b.cols, .k = a.cols, .alpha = call->attr[2].f,
		.a = call->in[0].data, .a_row = a.row, .a_col = a.col, .b = call->in[1].data, .b_row = b.row, .b_col = b.col,
		.y = y, .y_row = b.cols,
	};
	if (p.m == 0 || p.n == 0) return NULL;
	return ml_gemm(&call->pool, &p) == 0 ? NULL : ml_fail(call, "out of memory");
}
