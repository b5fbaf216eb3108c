//go:build linux || darwin

package cli

import "golang.org/x/sys/unix"

// limits are what the shell allows a process; 0: not limited, or not known.
type limits struct{ files, space, file int64 }

func shellLimits() limits {
	of := func(resource int) int64 {
		var l unix.Rlimit
		if unix.Getrlimit(resource, &l) != nil || l.Cur > 1<<60 {
			return 0
		}
		return int64(l.Cur)
	}
	return limits{of(unix.RLIMIT_NOFILE), of(unix.RLIMIT_AS), of(unix.RLIMIT_FSIZE)}
}
