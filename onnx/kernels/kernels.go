// Package kernels holds operators of our own, written in C, that ONNX Runtime runs inside its sessions: products and fused
// chains for which the engine's own are slow.
//
// They never show in a model that is built, differentiated or exported. [Lower] puts them into a copy at the very
// end, before a session is opened on it with [Register]; the plain model computes the same, in other roundings.
//
// An operator is a row in ops_table.c and a function in C; ops.h has what such a function may use. Each checks the shapes
// of its inputs itself and returns an error in place of reading beyond them: models come from strangers.
package kernels

import (
	"runtime"

	"golang.org/x/sys/cpu"
)

// Domain of the operators in a model.
const Domain = "metalora"

// Threads is the entry of a session's configuration that says how many threads it has.
const Threads = "metalora.threads"

// version of the domain's operator set.
const version = 1

// Supported says whether this build has the operators and this processor the instructions that they are written for.
func Supported() bool { return Missing() == "" }

// Missing says why there are no operators here, "" where there are.
func Missing() string {
	switch {
	case runtime.GOARCH != "amd64" || runtime.GOOS == "windows":
		return "they are written for Linux and macOS on x86-64"
	case !built:
		return "the program was built without cgo"
	case !cpu.X86.HasAVX2 || !cpu.X86.HasFMA:
		return "this CPU has no AVX2 and FMA, or they are hidden"
	}
	return ""
}
