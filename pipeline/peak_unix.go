//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package pipeline

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"metalora/pipeline/machine"
)

// resetPeak makes peakBytes start anew, so that a unit's peak is its own, where the system can do that: Linux, by writing 5 to
// clear_refs (proc(5)). Elsewhere the peak goes on from earlier units.
func resetPeak() {
	if file, err := os.OpenFile("/proc/self/clear_refs", os.O_WRONLY, 0); err == nil {
		_, _ = file.WriteString("5") // without it peaks are larger, not wrong
		_ = file.Close()
	}
}

// peakBytes is the most memory that the process has had at once since the last resetPeak. On Linux it is the process's own high-water
// mark: what getrusage says begins with the peak of the program that started this one.
func peakBytes() int64 {
	if n := machine.Peak(); n > 0 {
		return n
	}
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss) // bytes there, kilobytes elsewhere
	}
	return int64(usage.Maxrss) * 1024
}
