//go:build !linux

package bench

func cpuName() string { return "unknown processor" }

// peakOf is known on Linux only.
func peakOf(int) int { return 0 }

// peakMiB is known on Linux only.
func peakMiB() int { return 0 }
