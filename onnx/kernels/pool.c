//go:build cgo && (linux || darwin)

#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

int ml_most_lanes = 16;

int ml_lanes(void) {
	int lanes = 4;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) lanes = 8;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl")) {
		lanes = 16;
	}
#endif
	return lanes < ml_most_lanes ? lanes : ml_most_lanes;
}

// Each thread keeps its memory until it ends: what is given back and taken again costs a fault for each page.
static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void make_key(void) {
	if (pthread_key_create(&scratch_key, free) != 0) abort();
}

float *ml_scratch(size_t floats) {
	enum { head = 16 }; // floats before the memory, of which the first ones hold its size
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
