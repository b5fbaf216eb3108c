//go:build cgo && (linux || darwin)

package kernels

/*
#cgo CFLAGS: -O3 -std=gnu11
#cgo linux LDFLAGS: -ldl
#include "ops.h"

static const char *compiler(void) {
#ifdef __clang__
	return "clang " __clang_version__;
#else
	return "gcc " __VERSION__;
#endif
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

const built = true

// compiler is the one that made the operators.
func compiler() string { return C.GoString(C.compiler()) }

// Register adds the operators to a session's options, an OrtSessionOptions of the ONNX Runtime at the path library, which
// this process has loaded. The operators live as long as the process does.
func Register(options unsafe.Pointer, library string) error {
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	if failed := C.ml_register((*C.OrtSessionOptions)(options), path); failed != nil {
		defer C.free(unsafe.Pointer(failed))
		return fmt.Errorf("adding the operators of domain %s to ONNX Runtime %s: %s", Domain, library, C.GoString(failed))
	}
	return nil
}
