//go:build cgo && (linux || darwin)

#include "ops.h"

#include "blocks.h"
#include "loops.h"

typedef struct {
	const float *x;
	size_t n;
	const ml_loops *loops;
} columns;

static void sum_block(const void *data, size_t first, size_t last, float *sums) {
	const columns *c = data;
	c->loops->add_rows(sums, c->x + first * c->n, last - first, c->n);
}

// ColumnSum: Y [N], the sum of X [..., N] over all dimensions but the last.
OrtStatus *ml_op_column_sum(ml_call *call) {
	const ml_tensor *x = &call->in[0];
	if (x->rank == 0) return ml_fail(call, "input 0 is a scalar");
	columns c = {x->data, ml_row(x), ml_best_loops()};
	void *y = NULL;
	ml_try(ml_output(call, 0, (int64_t[]){c.n}, 1, &y));
	return ml_blocks(&call->pool, c.n == 0 ? 0 : x->count / c.n, c.n, sum_block, &c, y, c.n) == 0 ? NULL : ml_fail(call, "out of memory");
}
