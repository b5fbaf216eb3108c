// The start and the end of code that is compiled for an instruction set, and vectors of its width. A file defines ML_AVX512
// or ML_AVX2, or neither, before it includes this one and the source that it compiles; it includes lanes_end.h at its end.
// All headers of the system are included before: functions of theirs must not be compiled for an instruction set.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(ML_AVX512)
enum { LANES = 16 };
#define ML_NAME(name) name##_avx512
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
#endif
#elif defined(ML_AVX2)
enum { LANES = 8 };
#define ML_NAME(name) name##_avx2
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#else
enum { LANES = 4 };
#define ML_NAME(name) name##_plain
#endif

// lanes is a vector register. loose is one in memory, at any address of a float.
typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

// whole is a register of integers: numbers, or what a comparison gives, all bits of a lane or none.
typedef int32_t whole __attribute__((vector_size(4 * LANES)));

static inline lanes load(const float *p) { return *(const loose *)p; }
static inline void store(float *p, lanes v) { *(loose *)p = v; }

// load_some and store_some move the first k lanes, k <= LANES or more of which LANES are moved; the others are read as 0.
static inline lanes load_some(const float *p, size_t k) {
	if (k >= LANES) return load(p);
	lanes v = {0};
	memcpy(&v, p, k * sizeof *p);
	return v;
}

static inline void store_some(float *p, lanes v, size_t k) {
	if (k >= LANES) {
		store(p, v);
	} else {
		memcpy(p, &v, k * sizeof *p);
	}
}

// negative tells by their sign bits which numbers are below zero.
static inline whole negative(lanes v) { return (whole)v >> 31; }

// choose is a where the comparison holds and b elsewhere.
static inline lanes choose(whole comparison, lanes a, lanes b) {
	return (lanes)((comparison & (whole)a) | (~comparison & (whole)b));
}

// total adds the lanes, pair by pair.
static inline float total(lanes v) {
	float part[LANES];
	memcpy(part, &v, sizeof part);
	for (int half = LANES / 2; half > 0; half /= 2) {
		for (int i = 0; i < half; i++) part[i] += part[i + half];
	}
	return part[0];
}
