//go:build !cgo || (!linux && !darwin)

package kernels

import (
	"errors"
	"unsafe"
)

const built = false

// Register fails: this build has no operators.
func Register(options unsafe.Pointer, library string) error {
	return errors.New("this build has no operators of domain " + Domain + ": they are there on Linux and macOS, with cgo")
}

func compiler() string { return "" }

func limitLanes(int) {}
