//go:build cgo && (linux || darwin)

#if defined(__x86_64__)
#define ML_AVX2
#include "attention.h"

#include <immintrin.h>

#include "lanes.h"
#include "shuffle.h"

#include "attention_body.h"

#include "lanes_end.h"
#endif
