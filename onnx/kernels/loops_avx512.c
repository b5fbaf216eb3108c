//go:build cgo && (linux || darwin)

#if defined(__x86_64__)
#define ML_AVX512
#include "loops.h"

#include "lanes.h"

#include "loops_body.h"

#include "lanes_end.h"
#endif
