package cli

import (
	"os"
	"syscall"
)

// stopSignals ask for a stop with the work saved.
var stopSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}
