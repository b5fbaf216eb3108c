//go:build cgo && (linux || darwin)

package kernels

// #include "attention.h"
import "C"

// limitLanes has attention run in vectors of at most so many floats, so that a machine's tests reach all variants.
func limitLanes(most int) { C.ml_attention_lanes = C.int(most) }
