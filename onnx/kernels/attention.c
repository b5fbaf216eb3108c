//go:build cgo && (linux || darwin)

#include "attention.h"

enum { pair_floats = 40000 }; // multiplications that are worth a task of their own, at least

// variant is the functions for a set of instructions.
typedef struct {
	ml_attention_room *room;
	ml_attention_pair *forward, *backward;
} variant;

static variant choose(void) {
	switch (ml_lanes()) {
#if defined(__x86_64__)
	case 16: return (variant){ml_attention_room_avx512, ml_attention_forward_avx512, ml_attention_backward_avx512};
	case 8: return (variant){ml_attention_room_avx2, ml_attention_forward_avx2, ml_attention_backward_avx2};
#endif
	default: return (variant){ml_attention_room_plain, ml_attention_forward_plain, ml_attention_backward_plain};
	}
}

// job is what the tasks of a call share.
typedef struct {
	const ml_attention *attention;
	ml_attention_pair *pair;
	size_t room, pairs, each; // floats, all pairs and those of a task
	int failed;
} job;

static void task(void *data, size_t index) {
	job *j = data;
	float *memory = ml_scratch(j->room);
	if (memory == NULL) {
		__atomic_store_n(&j->failed, 1, __ATOMIC_RELAXED);
		return;
	}
	const size_t first = index * j->each, last = first + j->each < j->pairs ? first + j->each : j->pairs;
	for (size_t i = first; i < last; i++) j->pair(j->attention, i, memory);
}

static int run(const ml_pool *pool, const ml_attention *a, bool backward) {
	const variant v = choose();
	job j = {.attention = a, .pair = backward ? v.backward : v.forward, .room = v.room(a, backward), .pairs = a->rows * a->heads};
	const size_t products = (a->queries + 4) * a->keys * a->width * (backward ? 5 : 2);
	j.each = products == 0 || products > pair_floats ? 1 : (pair_floats + products - 1) / products;
	if (j.pairs == 0) return 0;
	pool->run(pool, (j.pairs + j.each - 1) / j.each, task, &j);
	return j.failed ? -1 : 0;
}

int ml_attention_forward(const ml_pool *pool, const ml_attention *a) { return run(pool, a, false); }

int ml_attention_backward(const ml_pool *pool, const ml_attention *a) { return run(pool, a, true); }
