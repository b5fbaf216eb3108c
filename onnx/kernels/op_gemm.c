//go:build cgo && (linux || darwin)

#include "ops.h"

// The inputs and attributes of Gemm, in the order of its row.
enum { in_addend, in_a, in_b, in_bias, in_a_mask, in_b_mask, in_mask, in_a2, in_b2, in_mask2 };
enum { attr_trans_a, attr_trans_b, attr_alpha, attr_trans_b2, attr_alpha2 };

// factor is input index as a matrix [rows, cols], transposed by strides alone.
static OrtStatus *factor(ml_call *call, size_t index, size_t mask, bool transposed, ml_factor *f, size_t *rows, size_t *cols) {
	const ml_tensor *t = &call->in[index];
	ml_try(ml_rank(call, index, 2));
	*f = (ml_factor){.data = t->data, .row = t->dims[1], .col = 1};
	*rows = t->dims[0], *cols = t->dims[1];
	if (transposed) {
		f->row = 1, f->col = t->dims[1];
		*rows = t->dims[1], *cols = t->dims[0];
	}
	if (mask != 0 && call->in[mask].given) {
		ml_try(ml_same(call, mask, index));
		f->mask = call->in[mask].data;
	}
	return NULL;
}

// shaped fails unless an optional input that is given is [rows, cols], or [cols] where rows is 0.
static OrtStatus *shaped(ml_call *call, size_t index, size_t rows, size_t cols) {
	const ml_tensor *t = &call->in[index];
	if (!t->given) return NULL;
	ml_try(ml_rank(call, index, rows == 0 ? 1 : 2));
	size_t last = t->dims[t->rank - 1];
	if (last == cols && (rows == 0 || (size_t)t->dims[0] == rows)) return NULL;
	return ml_fail(call, "input %zu has %zu columns of %zu elements, want %zu", index, last, (size_t)t->count, cols);
}

static OrtStatus *unfit(ml_call *call, size_t a, size_t b) {
	const int64_t *x = call->in[a].dims, *y = call->in[b].dims;
	return ml_fail(call, "[%lld, %lld] x [%lld, %lld]: the dimensions do not fit", (long long)x[0], (long long)x[1], (long long)y[0], (long long)y[1]);
}

// second adds the thin term.
static OrtStatus *second(ml_call *call, ml_product *p) {
	size_t m, n, k;
	ml_term *t = &p->terms[1];
	ml_try(factor(call, in_a2, 0, false, &t->a, &m, &t->k));
	ml_try(factor(call, in_b2, 0, call->attr[attr_trans_b2].i != 0, &t->b, &k, &n));
	if (m != p->m || n != p->n || k != t->k || k > ml_thin) return unfit(call, in_a2, in_b2);
	ml_try(shaped(call, in_mask2, m, n));
	t->mask = call->in[in_mask2].data;
	t->alpha = call->attr[attr_alpha2].f;
	p->count = 2;
	return NULL;
}

// Gemm: Y = addend + mask⊙(alpha · op(A⊙maskA)·op(B⊙maskB) + bias) + mask2⊙(alpha2 · A2·op(B2)) [M, N]. op transposes its
// matrix if transA or transB says so; masks are of 0 and 1. All but A and B may be absent; A2's columns are few.
OrtStatus *ml_op_gemm(ml_call *call) {
	ml_product p = {.count = 1, .bias = call->in[in_bias].data, .addend = call->in[in_addend].data};
	ml_term *t = &p.terms[0];
	size_t k;
	ml_try(factor(call, in_a, in_a_mask, call->attr[attr_trans_a].i != 0, &t->a, &p.m, &t->k));
	ml_try(factor(call, in_b, in_b_mask, call->attr[attr_trans_b].i != 0, &t->b, &k, &p.n));
	if (k != t->k) return unfit(call, in_a, in_b);
	ml_try(shaped(call, in_bias, 0, p.n));
	ml_try(shaped(call, in_addend, p.m, p.n));
	ml_try(shaped(call, in_mask, p.m, p.n));
	t->alpha = call->attr[attr_alpha].f;
	t->mask = call->in[in_mask].data;
	if (call->in[in_a2].given != call->in[in_b2].given) return ml_fail(call, "the second product has one factor");
	if (call->in[in_a2].given) ml_try(second(call, &p));
	void *y = NULL;
	ml_try(ml_output(call, 0, (int64_t[]){p.m, p.n}, 2, &y));
	p.y = y;
	if (p.m == 0 || p.n == 0) return NULL;
	return ml_gemm(&call->pool, &p) == 0 ? NULL : ml_fail(call, "out of memory");
}
