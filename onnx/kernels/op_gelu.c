//go:build cgo && (linux || darwin)

#include "ops.h"

#include "blocks.h"
#include "loops.h"

typedef struct {
	const float *dy, *x;
	float *y; // or dx
	size_t n;
	bool tanh;
	const ml_loops *loops;
} gelu;

static void gelu_block(const void *data, size_t first, size_t last, float *sums) {
	const gelu *g = data;
	(void)sums;
	(g->tanh ? g->loops->gelu_tanh : g->loops->gelu)(g->x + first * g->n, g->y + first * g->n, (last - first) * g->n);
}

static void grad_rows(const gelu *g, size_t first, size_t last) {
	size_t at = first * g->n;
	(g->tanh ? g->loops->gelu_tanh_grad : g->loops->gelu_grad)(g->dy + at, g->x + at, g->y + at, (last - first) * g->n);
}

static void grad_block(const void *data, size_t first, size_t last, float *sums) {
	const gelu *g = data;
	if (sums == NULL) {
		grad_rows(g, first, last);
		return;
	}
	for (size_t row = first; row < last; row++) { // while a row is near, it is summed
		grad_rows(g, row, row + 1);
		g->loops->add_rows(sums, g->y + row * g->n, 1, g->n);
	}
}

// Gelu: Y = X Φ(X) of X's shape, or the tanh form where the attribute tanh is not 0.
OrtStatus *ml_op_gelu(ml_call *call) {
	const ml_tensor *x = &call->in[0];
	void *y = NULL;
	ml_try(ml_output(call, 0, x->dims, x->rank, &y));
	gelu g = {.x = x->data, .y = y, .n = ml_row(x), .tanh = call->attr[0].i != 0, .loops = ml_best_loops()};
	if (x->count > 0) ml_blocks(&call->pool, x->count / g.n, g.n, gelu_block, &g, NULL, 0);
	return NULL;
}

// GeluGrad: dX = dY gelu'(X), for Y = Gelu(X). Output 1 is the sum of dX over all dimensions but the last, [n].
OrtStatus *ml_op_gelu_grad(ml_call *call) {
	const ml_tensor *x = &call->in[1];
	ml_try(ml_same(call, 0, 1));
	void *dx = NULL, *sum = NULL;
	ml_try(ml_output(call, 0, x->dims, x->rank, &dx));
	gelu g = {.dy = call->in[0].data, .x = x->data, .y = dx, .n = ml_row(x), .tanh = call->attr[0].i != 0, .loops = ml_best_loops()};
	ml_try(ml_output(call, 1, (int64_t[]){g.n}, 1, &sum));
	size_t rows = g.n == 0 ? 0 : x->count / g.n;
	return ml_blocks(&call->pool, rows, g.n, grad_block, &g, sum, sum == NULL ? 0 : g.n) == 0 ? NULL : ml_fail(call, "out of memory");
}
