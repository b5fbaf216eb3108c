//go:build cgo && (linux || darwin)

#include "ops.h"

#include "blocks.h"
#include "loops.h"

typedef struct {
	const float *x, *addend;
	const uint8_t *mask;
	float *y;
	size_t n;
	const ml_loops *loops;
} masked;

static void mask_rows(const masked *m, size_t first, size_t last) {
	size_t at = first * m->n;
	m->loops->mask(m->x + at, m->mask + at, m->addend == NULL ? NULL : m->addend + at, m->y + at, (last - first) * m->n);
}

static void mask_block(const void *data, size_t first, size_t last, float *sums) {
	const masked *m = data;
	if (sums == NULL) {
		mask_rows(m, first, last);
		return;
	}
	for (size_t row = first; row < last; row++) { // while a row is near, it is summed
		mask_rows(m, row, row + 1);
		m->loops->add_rows(sums, m->y + row * m->n, 1, m->n);
	}
}

// Mask: Y = X * Mask + Addend, all of one shape; the addend may be absent. Output 1 is the sum of Y over all dimensions but
// the last, [n].
OrtStatus *ml_op_mask(ml_call *call) {
	const ml_tensor *x = &call->in[0], *addend = &call->in[2];
	ml_try(ml_same(call, 0, 1));
	if (addend->given) ml_try(ml_same(call, 0, 2));
	void *y = NULL, *sum = NULL;
	ml_try(ml_output(call, 0, x->dims, x->rank, &y));
	masked m = {x->data, addend->given ? addend->data : NULL, call->in[1].data, y, ml_row(x), ml_best_loops()};
	ml_try(ml_output(call, 1, (int64_t[]){m.n}, 1, &sum));
	size_t rows = m.n == 0 ? 0 : x->count / m.n;
	return ml_blocks(&call->pool, rows, m.n, mask_block, &m, sum, sum == NULL ? 0 : m.n) == 0 ? NULL : ml_fail(call, "out of memory");
}
