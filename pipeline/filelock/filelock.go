// Package filelock locks open files between processes, advisory. The operating system takes a lock back when the process ends,
// however it ends, so a lock is never stale.
package filelock

import "errors"

// ErrHeld says that another process holds the lock.
var ErrHeld = errors.New("the lock is held")
