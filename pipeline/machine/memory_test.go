package machine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const gib = 1 << 30

// TestRead: trees of the files that Linux has, in both versions of control groups.
func TestRead(t *testing.T) {
	machine := "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:   12582912 kB\n" // 16 and 12 GiB
	for name, c := range map[string]struct {
		files map[string]string
		want  Memory
	}{
		"no files":    {nil, Memory{}},
		"no group":    {map[string]string{"proc/meminfo": machine}, Memory{16 * gib, 12 * gib, ""}},
		"not numbers": {map[string]string{"proc/meminfo": "MemTotal: x kB\nMemAvailable:\n", "sys/fs/cgroup/memory.max": "much\n"}, Memory{}},
		"version 2, as a container sees it": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "4294967296\n", "sys/fs/cgroup/memory.current": "2147483648\n",
			"sys/fs/cgroup/memory.stat": "anon 5\ninactive_file 1073741824\n"}, Memory{4 * gib, 3 * gib, "/"}},
		"version 2, no limit": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "max\n"}, Memory{16 * gib, 12 * gib, ""}},
		"version 2, an outer group is tighter": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/job/step\n",
			"sys/fs/cgroup/job/step/memory.max": "8589934592\n", "sys/fs/cgroup/job/step/memory.current": "1073741824\n",
			"sys/fs/cgroup/job/memory.max": "4294967296\n", "sys/fs/cgroup/job/memory.current": "2147483648\n"}, Memory{4 * gib, 2 * gib, "/job"}},
		"version 2, the machine is fuller than the group": {map[string]string{"proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 1048576 kB\n",
			"sys/fs/cgroup/memory.max": "8589934592\n", "sys/fs/cgroup/memory.current": "0\n"}, Memory{8 * gib, gib, "/"}},
		"version 1": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/box\n0::/\n",
			"sys/fs/cgroup/memory/box/memory.limit_in_bytes": "2147483648\n", "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "1073741824\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, Memory{2 * gib, gib, "/box"}},
		"a full group": {map[string]string{"proc/meminfo": machine,
			"sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/memory.current": "1073741824\n"}, Memory{gib, 1, "/"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range c.files {
				path := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.want, read(root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzRead: whatever the files say, no number is negative and no group has more than the machine.
func FuzzRead(f *testing.F) {
	f.Add("MemTotal: 1 kB\nMemAvailable: 1 kB", "0::/a/../b\n", "12", "99", "inactive_file 5")
	f.Fuzz(func(t *testing.T, info, cgroup, limit, used, stat string) {
		root := t.TempDir()
		for file, text := range map[string]string{"proc/meminfo": info, "proc/self/cgroup": cgroup, "sys/fs/cgroup/memory.max": limit,
			"sys/fs/cgroup/memory.current": used, "sys/fs/cgroup/memory.stat": stat} {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m := read(root)
		if m.Total < 0 || m.Available < 0 {
			t.Errorf("%+v", m)
		}
	})
}
