//go:build unix

package cli

import (
	"os"
	"syscall"
)

// stopSignals ask for a stop with the work saved. Batch engines send SIGUSR1 before the time is up.
var stopSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1}
