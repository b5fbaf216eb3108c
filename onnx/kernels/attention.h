// Attention of transformer encoders and its gradient, float32. Nothing here knows ONNX Runtime.
#ifndef METALORA_ATTENTION_H
#define METALORA_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "pool.h"

// ml_attention is attention of rows times heads. For each row and head it is
//
//	probabilities = softmax(scale · q kᵀ + mask)    [queries, keys]
//	context = (factor · probabilities where kept) v   [queries, width]
//
// with the heads side by side in memory: q and context are [rows·queries, heads·width], k and v [rows·keys, heads·width]. Where
// rows lie packed, one behind the other without padding, keys is the most that a row has; k and v are [tokens, heads·width], and
// so are q and context, unless queries is 1.
typedef struct {
	size_t rows, heads, queries, keys, width;
	const int64_t *starts;     // the first token of each row where rows lie packed, else NULL
	size_t tokens;             // of all rows, where they lie packed
	float scale, factor;
	const float *q, *k, *v;
	const float *mask;         // [rows, keys], or [rows, queries, keys] with masked_queries
	bool masked_queries;
	const uint8_t *kept;       // [rows, heads, queries, keys]: 0 drops a probability; NULL: all are kept and factor is 1
	float *context;            // written by the forward pass only
	float *saved;              // [rows, heads, queries, 2]: a softmax's greatest score and 1/sum; forward writes it unless NULL
	const float *d_context;    // of context's shape, and likewise
	float *d_q, *d_k, *d_v;    // the gradients, each NULL where it is not wanted
} ml_attention;

// ml_attention_forward computes context, ml_attention_backward d_q, d_k and d_v, on the threads of a pool. Each element is
// summed in an order that depends on the sizes alone. They return 0, or -1 where there is no memory to work in.
int ml_attention_forward(const ml_pool *pool, const ml_attention *a);
int ml_attention_backward(const ml_pool *pool, const ml_attention *a);

// Room is how many floats one row and head needs to work in; a pair is row·heads + head. One for each instruction set.
typedef size_t ml_attention_room(const ml_attention *a, bool backward);
typedef void ml_attention_pair(const ml_attention *a, size_t pair, float *scratch);
ml_attention_room ml_attention_room_avx512, ml_attention_room_avx2, ml_attention_room_plain;
ml_attention_pair ml_attention_forward_avx512, ml_attention_forward_avx2, ml_attention_forward_plain;
ml_attention_pair ml_attention_backward_avx512, ml_attention_backward_avx2, ml_attention_backward_plain;

#endif
