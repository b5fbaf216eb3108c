//go:build cgo && (linux || darwin)

#include "attention.h"
#include "ops.h"

// read_shapes fills in the sizes of an attention whose q, k, v and mask are the inputs from first, and checks them.
static OrtStatus *read_shapes(ml_call *call, size_t first, ml_attention *a) {
	const ml_tensor *q = &call->in[first], *k = q + 1, *mask = q + 3;
	ml_try(ml_rank(call, first + 3, 4));
	ml_try(ml_same(call, first + 1, first + 2));
	const int64_t heads = call->attr[0].i, width = ml_row(q), rows = mask->dims[0], keys = mask->dims[3];
	if (heads < 1 || width < 1 || width % heads != 0) {
		return ml_fail(call, "input %zu has %lld elements a token, want a multiple of %lld heads", first, (long long)width, (long long)heads);
	}
	if ((int64_t)ml_row(k) != width) return ml_fail(call, "queries have %lld elements and keys %zu", (long long)width, ml_row(k));
	if (mask->dims[1] != 1) return ml_fail(call, "the mask has %lld heads, want 1", (long long)mask->dims[1]);
	const int64_t tokens = q->count / width, queries = rows == 0 ? 0 : tokens / rows, all_keys = k->count / width;
	if (tokens != rows * queries) return ml_fail(call, "%lld queries are not as many for each of %lld rows", (long long)tokens, (long long)rows);
	if (mask->dims[2] != 1 && mask->dims[2] != queries) {
		return ml_fail(call, "the mask has %lld queries, want 1 or %lld", (long long)mask->dims[2], (long long)queries);
	}
	if (rows == 0 ? all_keys != 0 : all_keys % rows != 0 || all_keys / rows != keys) {
		return ml_fail(call, "%lld keys, want %lld in each of %lld rows", (long long)all_keys, (long long)keys, (long long)rows);
	}
	*a = (ml_attention){
		.rows = rows, .heads = heads, .queries = queries, .keys = keys, .width = width / heads, .scale = call->attr[1].f,
		.q = q->data, .k = k->data, .v = q[2].data, .mask = mask->data, .masked_queries = mask->dims[2] != 1,
	};
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

// Attention: q [rows·queries, heads·width], k and v [rows·keys, heads·width] (or in more dimensions), mask [rows, 1, 1 or queries, keys] and perhaps
// kept [rows, heads, queries, keys] -> what ml_attention says of them: context like q, and what its gradient needs,
// [rows, heads, queries, 2].
OrtStatus *ml_op_attention(ml_call *call) {
	ml_attention a;
	ml_try(read_shapes(call, 0, &a));
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

// AttentionGrad: d context, then Attention's q, k, v, mask, second output, and kept if it had that -> the gradients by q, k
// and v, each if it is wanted.
OrtStatus *ml_op_attention_grad(ml_call *call) {
	ml_attention a;
	ml_try(read_shapes(call, 1, &a));
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
