//go:build cgo && (linux || darwin)

#include "gemm.h"

#include "lanes.h"

#include "gemm_body.h"

#include "lanes_end.h"
