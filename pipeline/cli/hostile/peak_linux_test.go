package main

import "metalora/pipeline/machine"

// peak is the most memory that this process has had resident, in bytes.
func peak() int64 {
	n := machine.Peak()
	if n == 0 {
		panic("/proc/self/status does not say")
	}
	return n
}
