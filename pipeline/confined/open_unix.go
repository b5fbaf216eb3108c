//go:build unix

package confined

import "syscall"

// withoutWaiting keeps the opening of a named pipe from waiting for a writer, and that of a terminal from taking it over.
const withoutWaiting = syscall.O_NONBLOCK | syscall.O_NOCTTY
