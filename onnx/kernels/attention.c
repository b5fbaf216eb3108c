//go:build cgo && (linux || darwin)

#include "attention.h"

#include <pthread.h>
#include <stdlib.h>

enum { pair_floats = 40000 }; // multiplications that are worth a task of their own, at least

// variant is the functions for a set of instructions.
typedef struct {
	ml_attention_room *room;
	ml_attention_pair *forward, *backward;
} variant;

int ml_attention_lanes = 16;

static variant choose(void) {
#if defined(__x86_64__)
	if (ml_attention_lanes >= 16 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
		return (variant){ml_attention_room_avx512, ml_attention_forward_avx512, ml_attention_backward_avx512};
	}
	if (ml_attention_lanes >= 8 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return (variant){ml_attention_room_avx2, ml_attention_forward_avx2, ml_attention_backward_avx2};
#endif
	return (variant){ml_attention_room_plain, ml_attention_forward_plain, ml_attention_backward_plain};
}

// Each thread keeps the memory that it works in until it ends.
static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void make_key(void) {
	if (pthread_key_create(&scratch_key, free) != 0) abort();
}

// scratch is a thread's memory of at least so many floats, or NULL. Its first float stands behind the memory's size.
static float *scratch(size_t floats) {
	enum { head = 16 };
	pthread_once(&scratch_once, make_key);
	float *memory = pthread_getspecific(scratch_key);
	if (memory != NULL && *(size_t *)memory >= floats) return memory + head;
	void *made = NULL;
	if (posix_memalign(&made, 64, (floats + head) * sizeof *memory) != 0) return NULL;
	*(size_t *)made = floats;
	free(memory);
	if (pthread_setspecific(scratch_key, made) != 0) {
		free(made);
		return NULL;
	}
	return (float *)made + head;
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
	float *memory = scratch(j->room);
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
