//go:build cgo && (linux || darwin)

package kernels

// #include "pool.h"
import "C"

// limitLanes has kernels run in vectors of at most so many floats, so that a machine's tests reach all variants.
func limitLanes(most int) { C.ml_most_lanes = C.int(most) }
