//go:build cgo && (linux || darwin)

#include "loops.h"

extern const ml_loops ml_loops_plain, ml_loops_avx2, ml_loops_avx512;

const ml_loops *ml_best_loops(void) {
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl")) {
		return &ml_loops_avx512;
	}
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &ml_loops_avx2;
#endif
	return &ml_loops_plain;
}
