//go:build !linux

package ort

// Trim gives memory back to the system that closed sessions have freed and the C library holds on to. Only Linux's has a
// call for it.
func Trim() {}
