//go:build cgo && (linux || darwin)

#include "ops.h"

#include "blocks.h"
#include "loops.h"

enum { first_addend = 5, last_addend = 12 };

// norm_sums says which sums over the rows are wanted, one behind the other in what a block sums.
typedef struct {
	ml_norm norm;
	bool dweight, dbias;
	const ml_loops *loops;
} norm_sums;

static void norm_block(const void *data, size_t first, size_t last, float *sums) {
	const norm_sums *s = data;
	float *dweight = s->dweight ? sums : NULL, *dbias = s->dbias ? sums + (s->dweight ? s->norm.n : 0) : NULL;
	s->loops->norm_grad(&s->norm, first, last, dweight, dbias);
}

// check_statistics: one number for each row of x.
static OrtStatus *check_statistics(const ml_call *call, size_t index) {
	const ml_tensor *x = &call->in[1], *t = &call->in[index];
	if (t->rank != x->rank) return ml_fail(call, "input %zu has rank %zu, want that of input 1, %zu", index, t->rank, x->rank);
	for (size_t i = 0; i < x->rank; i++) {
		int64_t want = i + 1 == x->rank ? 1 : x->dims[i];
		if (t->dims[i] != want) {
			return ml_fail(call, "dimension %zu of input %zu is %lld, want %lld", i, index, (long long)t->dims[i], (long long)want);
		}
	}
	return NULL;
}

static OrtStatus *check_norm(const ml_call *call) {
	const ml_tensor *x = &call->in[1], *weight = &call->in[4];
	if (x->rank == 0) return ml_fail(call, "input 1 is a scalar");
	ml_try(ml_same(call, 0, 1));
	ml_try(check_statistics(call, 2));
	ml_try(check_statistics(call, 3));
	ml_try(ml_rank(call, 4, 1));
	if (weight->count != x->dims[x->rank - 1]) {
		return ml_fail(call, "input 4 has %lld elements, want %lld", (long long)weight->count, (long long)x->dims[x->rank - 1]);
	}
	return NULL;
}

// gather_addends lists where the cotangent's addends lie: input 0, and those that are given behind the weight.
static OrtStatus *gather_addends(const ml_call *call, const float **addends, size_t *count) {
	addends[(*count)++] = call->in[0].data;
	for (size_t i = first_addend; i <= last_addend; i++) {
		if (!call->in[i].given) continue;
		ml_try(ml_same(call, i, 1));
		addends[(*count)++] = call->in[i].data;
	}
	return NULL;
}

// run_norm computes dx, and dweight and dbias where they are not NULL.
static OrtStatus *run_norm(ml_call *call, const ml_norm *norm, size_t rows, float *dweight, float *dbias) {
	norm_sums s = {*norm, dweight != NULL, dbias != NULL, ml_best_loops()};
	size_t n = norm->n, width = (s.dweight + s.dbias) * n;
	float *sums = NULL;
	if (width > 0 && (sums = malloc(width * sizeof *sums)) == NULL) return ml_fail(call, "out of memory");
	int failed = ml_blocks(&call->pool, rows, n, norm_block, &s, sums, width);
	if (failed == 0 && s.dweight) memcpy(dweight, sums, n * sizeof *sums);
	if (failed == 0 && s.dbias) memcpy(dbias, sums + width - n, n * sizeof *sums);
	free(sums);
	return failed == 0 ? NULL : ml_fail(call, "out of memory");
}

// LayerNormalizationGrad: dX of Y = H * Weight + Bias, H = (X - Mean) * Inverse, over the last dimension n of X [..., n]. The
// cotangent dY is the sum of input 0 and the inputs behind the weight, all of X's shape; Mean and Inverse are [..., 1], Weight
// [n]. Outputs 1 and 2 are the gradients of weight and bias [n].
OrtStatus *ml_op_norm_grad(ml_call *call) {
	ml_try(check_norm(call));
	const float *addends[1 + last_addend - first_addend + 1];
	size_t count = 0;
	ml_try(gather_addends(call, addends, &count));
	const ml_tensor *x = &call->in[1];
	size_t n = ml_row(x);
	void *dx = NULL, *dweight = NULL, *dbias = NULL;
	ml_try(ml_output(call, 0, x->dims, x->rank, &dx));
	ml_try(ml_output(call, 1, (int64_t[]){n}, 1, &dweight));
	ml_try(ml_output(call, 2, (int64_t[]){n}, 1, &dbias));
	ml_norm norm = {.n = n, .dy = addends, .addends = count, .x = x->data, .mean = call->in[2].data, .inverse = call->in[3].data,
	                .weight = call->in[4].data, .dx = dx};
	return run_norm(call, &norm, n == 0 ? 0 : x->count / n, dweight, dbias);
}
