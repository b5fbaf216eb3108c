// Package fault says what kind of thing went wrong, so that the program ends with the right exit code.
//
// An ordinary error means: it failed, trying again may help. [Usage], [Input] and [Numbers] mark an error as one that
// repeats however often it is tried; [Stopped] is what a run returns that was asked to stop and saved its work. A mark
// changes neither the text of an error nor what it wraps. Where errors wrap each other, the outermost mark counts.
package fault

import (
	"errors"
)

// The exit codes of the program.
const (
	CodeDone    = 0  // all is well
	CodeFailed  = 1  // disk, memory, network, a lost lock: trying again may help
	CodeUsage   = 2  // wrong flag or verb, impossible configuration, a folder of another experiment
	CodeInput   = 3  // a bad input file, or no usable ONNX Runtime library
	CodeNumbers = 4  // a loss or gradient that is not finite
	CodeStopped = 75 // stopped on request with the work saved (EX_TEMPFAIL of sysexits.h: engines requeue it)
)

// Stopped says that a run ended early because it was asked to, and that its work is saved. Wrap it with what is saved.
var Stopped = errors.New("stopped on request")

// marked is an error with an exit code.
type marked struct {
	error
	code int
}

func (m marked) Unwrap() error { return m.error }

// Usage marks an error as wrong usage or an impossible configuration. A nil error stays nil.
func Usage(err error) error { return mark(err, CodeUsage) }

// Input marks an error as the fault of an input file. A nil error stays nil.
func Input(err error) error { return mark(err, CodeInput) }

// Numbers marks an error as numbers that broke. A nil error stays nil.
func Numbers(err error) error { return mark(err, CodeNumbers) }

func mark(err error, code int) error {
	if err == nil {
		return nil
	}
	return marked{err, code}
}

// Code is the exit code of an error, [CodeDone] for nil.
func Code(err error) int {
	if err == nil {
		return CodeDone
	}
	if errors.Is(err, Stopped) {
		return CodeStopped
	}
	if m, ok := errors.AsType[marked](err); ok {
		return m.code
	}
	return CodeFailed
}
