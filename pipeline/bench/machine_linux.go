package bench

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// cpuName is what the kernel calls the processor.
func cpuName() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// peakOf is the most memory, in MiB, that a running process had resident so far; 0: it has ended. What the system notes of an ended
// child is no help: it begins with the parent's own peak.
func peakOf(pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		var kilobytes int
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes / 1024
		}
	}
	return 0
}

// peakMiB is the most memory the process had resident so far.
func peakMiB() int {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return int(usage.Maxrss / 1024)
}
