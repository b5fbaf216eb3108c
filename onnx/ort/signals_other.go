//go:build !linux

package ort

// keepSignals does nothing: CUDA is tried on Linux alone.
func keepSignals() (restore func()) { return func() {} }
