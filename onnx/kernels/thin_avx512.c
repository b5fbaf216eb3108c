//go:build cgo && (linux || darwin)

#if defined(__x86_64__)
#define ML_AVX512
#include "thin.h"

#include <immintrin.h>

#include "lanes.h"

#include "thin_body.h"

#include "lanes_end.h"
#endif
