//go:build !linux

package bench

func cpuName() string { return "unknown processor" }
