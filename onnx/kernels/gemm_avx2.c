//go:build cgo && (linux || darwin)

#if defined(__x86_64__)
#define ML_AVX2
#include "gemm.h"

#include <immintrin.h>

#include "lanes.h"

#include "gemm_body.h"

#include "lanes_end.h"
#endif
