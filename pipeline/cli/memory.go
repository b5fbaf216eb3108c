package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryLimit is how much memory this process may have, in bytes: the computer's, or less where a control group says so.
// 0 where neither is known. root is "/" but in tests.
func memoryLimit(root string) int64 {
	limit := totalMemory(filepath.Join(root, "proc/meminfo"))
	for _, file := range []string{
		"sys/fs/cgroup/memory.max",                   // version 2
		"sys/fs/cgroup/memory/memory.limit_in_bytes", // version 1
	} {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		if err == nil && (limit == 0 || n < limit) {
			limit = n
		}
	}
	return limit
}

// totalMemory reads the line "MemTotal: 16303412 kB".
func totalMemory(path string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "MemTotal:" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			return n * 1024
		}
	}
	return 0
}
