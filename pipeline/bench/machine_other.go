//go:build !linux

package bench

func cpuName() string { return "unknown processor" }

// peakMiB is known on Linux only.
func peakMiB() int { return 0 }
