//go:build cgo && (linux || darwin)

#include "attention.h"
#include "ops.h"

// What the attribute packed says: rows are padded to one length; or they lie one behind the other, the queries too, or one query a row.
enum { padded, packed, packed_keys };

// read_starts takes where each row begins among the tokens, and checks that none is empty or longer than the mask.
static OrtStatus *read_starts(ml_call *call, size_t index, size_t queries, size_t tokens, ml_attention *a) {
	const ml_tensor *t = &call->in[index];
	if (!t->given) return ml_fail(call, "rows are packed, but input %zu does not say where they begin", index);
	ml_try(ml_rank(call, index, 1));
	if ((size_t)t->count != a->rows) return ml_fail(call, "%lld rows begin, want %zu", (long long)t->count, a->rows);
	a->starts = t->data, a->tokens = tokens;
	for (size_t row = 0; row < a->rows; row++) {
		const int64_t start = a->starts[row], end = row + 1 < a->rows ? a->starts[row + 1] : (int64_t)tokens;
		if (start < 0 || end <= start || end > (int64_t)tokens || end - start > (int64_t)a->keys || (row == 0 && start != 0)) {
			return ml_fail(call, "row %zu is [%lld, %lld) of %zu tokens, want at most %zu, the first from 0", row, (long long)start,
			               (long long)end, tokens, a->keys);
		}
	}
	const bool one = call->attr[3].i == packed_keys;
	a->queries = one ? 1 : a->keys;
	if (queries == (one ? a->rows : tokens) && (a->rows > 0 || tokens == 0)) return NULL;
	return ml_fail(call, "%zu queries of %zu rows, which have %zu tokens", queries, a->rows, tokens);
}

// read_padded checks the sizes of rows that are padded.
static OrtStatus *read_padded(ml_call *call, size_t queries, size_t tokens, ml_attention *a) {
	a->queries = a->rows == 0 ? 0 : queries / a->rows;
	if (queries != a->rows * a->queries) return ml_fail(call, "%zu queries are not as many for each of %zu rows", queries, a->rows);
	if (tokens != a->rows * a->keys) return ml_fail(call, "%zu keys, want %zu in each of %zu rows", tokens, a->keys, a->rows);
	return NULL;
}

// read_shapes fills in the sizes of an attention whose q, k, v and mask are the inputs from first, and checks them. starts is
// the input that packed rows need.
static OrtStatus *read_shapes(ml_call *call, size_t first, size_t starts, ml_attention *a) {
	const ml_tensor *q = &call->in[first], *k = q + 1, *mask = q + 3;
	ml_try(ml_rank(call, first + 3, 4));
	ml_try(ml_same(call, first + 1, first + 2));
	const int64_t heads = call->attr[0].i, width = ml_row(q);
	if (heads < 1 || width < 1 || width % heads != 0) {
		return ml_fail(call, "input %zu has %lld elements a token, want a multiple of %lld heads", first, (long long)width, (long long)heads);
	}
	if ((int64_t)ml_row(k) != width) return ml_fail(call, "queries have %lld elements and keys %zu", (long long)width, ml_row(k));
	if (mask->dims[1] != 1) return ml_fail(call, "the mask has %lld heads, want 1", (long long)mask->dims[1]);
	*a = (ml_attention){
		.rows = mask->dims[0], .heads = heads, .keys = mask->dims[3], .width = width / heads, .scale = call->attr[1].f,
		.q = q->data, .k = k->data, .v = q[2].data, .mask = mask->data,
	};
	const size_t queries = q->count / width, tokens = k->count / width;
	ml_try(call->attr[3].i == padded ? read_padded(call, queries, tokens, a) : read_starts(call, starts, queries, tokens, a));
	if (mask->dims[2] != 1 && (size_t)mask->dims[2] != a->queries) {
		return ml_fail(call, "the mask has %lld queries, want 1 or %zu", (long long)mask->dims[2], a->queries);
	}
	a->masked_queries = mask->dims[2] != 1;
	return NULL;
}

// want_shape fails unless an input has a shape of four dimensions.
static OrtStatus *want_shape(ml_call *call, size_t index, size_t n0, size_t n1, size_t n2, size_t n3) {
	ml_try(ml_rank(call, index, 4));
	const size_t want[] = {n0, n1, n2, n3};
	for (size_t i = 0; i < 4; i++) {
		if ((size_t)call->in[index].dims[i] != want[i]) {
			return ml_fail(call, "dimension %zu of input %zu is %lld, want %zu", i, index, (long long)call->in[index].dims[i], want[i]);
		}
	}
	return NULL;
}

// read_kept takes a mask of dropout and its factor, where there is one.
static OrtStatus *read_kept(ml_call *call, size_t index, ml_attention *a) {
	a->factor = 1;
	if (!call->in[index].given) return NULL;
	a->factor = call->attr[2].f;
	a->kept = call->in[index].data;
	return want_shape(call, index, a->rows, a->heads, a->queries, a->keys);
}

// Attention: q [rows·queries, heads·width], k and v [rows·keys, heads·width] (or in more dimensions), mask [rows, 1, 1 or queries, keys],
// perhaps kept [rows, heads, queries, keys], and starts [rows] where rows are packed -> what ml_attention says of them: context like q,
// and what its gradient needs, [rows, heads, queries, 2].
OrtStatus *ml_op_attention(ml_call *call) {
	ml_attention a;
	ml_try(read_shapes(call, 0, 5, &a));
	ml_try(read_kept(call, 4, &a));
	ml_try(ml_output(call, 0, call->in[0].dims, call->in[0].rank, (void **)&a.context));
	ml_try(ml_output(call, 1, (int64_t[]){a.rows, a.heads, a.queries, 2}, 4, (void **)&a.saved));
	if (a.rows == 0 || a.queries == 0) return NULL;
	if (a.keys == 0) {
		memset(a.context, 0, a.rows * a.queries * a.heads * a.width * sizeof *a.context);
		return NULL;
	}
	return ml_attention_forward(&call->pool, &a) == 0 ? NULL : ml_fail(call, "out of memory");
}

// AttentionGrad: d context, then Attention's q, k, v, mask, second output, and kept and starts if it had them -> the gradients by
// q, k and v, each if it is wanted.
OrtStatus *ml_op_attention_grad(ml_call *call) {
	ml_attention a;
	ml_try(read_shapes(call, 1, 7, &a));
	ml_try(ml_same(call, 0, 1));
	ml_try(want_shape(call, 5, a.rows, a.heads, a.queries, 2));
	ml_try(read_kept(call, 6, &a));
	a.d_context = call->in[0].data;
	a.saved = (float *)call->in[5].data;
	ml_try(ml_output(call, 0, call->in[1].dims, call->in[1].rank, (void **)&a.d_q));
	ml_try(ml_output(call, 1, call->in[2].dims, call->in[2].rank, (void **)&a.d_k));
	ml_try(ml_output(call, 2, call->in[3].dims, call->in[3].rank, (void **)&a.d_v));
	const size_t tokens = a.rows * a.heads * a.width * sizeof(float);
	if (a.queries == 0 || a.keys == 0) { // nothing is looked at
		if (a.d_q != NULL) memset(a.d_q, 0, tokens * a.queries);
		if (a.d_k != NULL) memset(a.d_k, 0, tokens * a.keys);
		if (a.d_v != NULL) memset(a.d_v, 0, tokens * a.keys);
		return NULL;
	}
	if (a.rows == 0) return NULL;
	return ml_attention_backward(&call->pool, &a) == 0 ? NULL : ml_fail(call, "out of memory");
}
