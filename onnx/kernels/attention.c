//go:build cgo && (linux || darwin)

#include "attention.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define INL static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

enum {
	block_floats = 8192, // of a block of scores: it should stay in the first cache
	most_terms = 512,    // that one sum adds up before it joins others
	pair_floats = 40000, // multiplications that are worth a task of their own, at least
};

#define NAME_OF(name, set) name##_##set

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#define LANES 16
#define NAME(name) NAME_OF(name, wide)
#define tile_rows 12
#include "shuffle.h"
#include "attention_lanes.h"
#undef LANES
#undef NAME
#undef tile_rows
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define LANES 8
#define NAME(name) NAME_OF(name, middle)
#define tile_rows 6
#include "shuffle.h"
#include "attention_lanes.h"
#undef LANES
#undef NAME
#undef tile_rows
#pragma GCC pop_options

#endif

#define LANES 4
#define NAME(name) NAME_OF(name, plain)
#define tile_rows 6
#include "shuffle.h"
#include "attention_lanes.h"

// variant is the functions for a set of instructions.
typedef struct {
	size_t (*room)(const ml_attention *a, bool backward);
	void (*forward)(const ml_attention *a, size_t pair, float *scratch);
	void (*backward)(const ml_attention *a, size_t pair, float *scratch);
} variant;

int ml_attention_lanes = 16;

static variant choose(void) {
#if defined(__x86_64__)
	if (ml_attention_lanes >= 16 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
		return (variant){room_wide, forward_wide, backward_wide};
	}
	if (ml_attention_lanes >= 8 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return (variant){room_middle, forward_middle, backward_middle};
#endif
	return (variant){room_plain, forward_plain, backward_plain};
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
	void (*pair)(const ml_attention *a, size_t pair, float *scratch);
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
