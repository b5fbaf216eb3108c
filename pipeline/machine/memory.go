// Package machine knows how much memory this process may have.
//
// On Linux the kernel says what is free; a control group (a container, a batch job) may allow less than the machine has.
// Groups lie in each other, and each has a limit of its own: the tightest one counts. Elsewhere nothing is known, and every
// number is 0.
package machine

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory is in bytes; 0 stands for what is not known.
type Memory struct {
	Total     int64  // of the machine, or less where a control group says so
	Available int64  // of it, what this process can have beside what it has
	Group     string // the control group whose limit is tighter than the machine; "": none
}

// Now reads the memory as it is.
func Now() Memory { return read("/") }

// read is Now of the system whose files are below root.
func read(root string) Memory {
	info := meminfo(filepath.Join(root, "proc/meminfo"))
	m := Memory{Total: info["MemTotal"], Available: info["MemAvailable"]}
	for _, g := range groups(root) {
		limit, used := g.numbers()
		if limit <= 0 || m.Total > 0 && limit >= m.Total {
			continue
		}
		m.Total, m.Group = limit, g.name
		if left := max(0, limit-used); m.Available == 0 || left < m.Available {
			m.Available = max(1, left) // 0 would say that nothing is known
		}
	}
	return m
}

// meminfo reads lines like "MemTotal: 16303412 kB".
func meminfo(path string) map[string]int64 {
	values := map[string]int64{}
	data, _ := os.ReadFile(path) // without it nothing is known
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil && n > 0 && n < 1<<52 {
			values[strings.TrimSuffix(fields[0], ":")] = n * 1024
		}
	}
	return values
}

// group is a control group's folder and what its files are called.
type group struct {
	name, dir   string
	limit, used string
	cache       string // the line of memory.stat with what the kernel gives back where memory is short
}

// groups lists the groups that this process is in, of both versions, from the innermost out. Inside a container its own group
// may be mounted as if it were the root: the roots are looked at in any case.
func groups(root string) []group {
	var all []group
	add := func(mount, name string, g group) {
		for at := path.Clean("/" + name); ; at = path.Dir(at) {
			g.name, g.dir = at, filepath.Join(root, mount, at)
			all = append(all, g)
			if at == "/" {
				return
			}
		}
	}
	second := group{limit: "memory.max", used: "memory.current", cache: "inactive_file"}
	first := group{limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", cache: "total_inactive_file"}
	names := [2]string{}
	data, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case fields[0] == "0" && fields[1] == "":
			names[1] = fields[2]
		case strings.Contains(","+fields[1]+",", ",memory,"):
			names[0] = fields[2]
		}
	}
	add("sys/fs/cgroup/memory", names[0], first)
	add("sys/fs/cgroup", names[1], second)
	return all
}

// numbers are a group's limit and what its processes use, without caches of files that the kernel gives back; 0 where there
// is none. "max", and version 1's largest number, are no limit.
func (g group) numbers() (limit, used int64) {
	number := func(name string) int64 {
		data, err := os.ReadFile(filepath.Join(g.dir, name))
		if err != nil {
			return 0
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
		if err != nil || n < 0 || n > 1<<60 {
			return 0
		}
		return n
	}
	limit, used = number(g.limit), number(g.used)
	data, _ := os.ReadFile(filepath.Join(g.dir, "memory.stat"))
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == g.cache {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil && n > 0 {
				used = max(0, used-n)
			}
		}
	}
	return limit, used
}

// Resident is the memory that this process has now; 0 where it is not known.
func Resident() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if fields := strings.Fields(string(data)); err == nil && len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}

// Peak is the most that this process has had resident at once, in bytes; 0 where nothing says.
func Peak() int64 { return PeakOf(os.Getpid()) }

// PeakOf is a running process's (VmHWM, proc_pid_status(5)); 0: it has ended, or nothing says. What getrusage says of a process, ended or
// not, begins with the peak of the program that started it.
func PeakOf(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		var kibibytes int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kibibytes); err == nil {
			return kibibytes << 10
		}
	}
	return 0
}
