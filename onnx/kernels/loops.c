//go:build cgo && (linux || darwin)

#include "loops.h"
#include "pool.h"

extern const ml_loops ml_loops_plain, ml_loops_avx2, ml_loops_avx512;

const ml_loops *ml_best_loops(void) {
	switch (ml_lanes()) {
#if defined(__x86_64__)
	case 16: return &ml_loops_avx512;
	case 8: return &ml_loops_avx2;
#endif
	default: return &ml_loops_plain;
	}
}
