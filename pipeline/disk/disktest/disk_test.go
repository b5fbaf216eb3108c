package disktest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline/disk"
)

// tree is what lies below a folder: files with their content, folders with "/".
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		if err != nil || name == "." {
			return err
		}
		if entry.IsDir() {
			all[filepath.ToSlash(name)] = "/"
			return nil
		}
		data, err := os.ReadFile(path)
		all[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRestart: what is left of the same few calls after each kind of end.
func TestRestart(t *testing.T) {
	const last = "the last operation"
	calls := func(d *Disk, root string) {
		in := func(name string) string { return filepath.Join(root, name) }
		file := func(name string, sync bool) {
			f, err := d.Create(in(name))
			if err != nil {
				return
			}
			io.WriteString(f, filepath.Base(name))
			if sync {
				f.Sync()
			}
			f.Close()
		}
		file("synced", true)
		file("unsynced", false)
		d.Mkdir(in("from"))
		d.Mkdir(in("to"))
		d.SyncDir(root)
		file("from/x", true)
		d.Rename(in("from/x"), in("to/y"))
		d.SyncDir(in("to"))
		d.SyncDir(in("from"))
		file("unnamed", true)
		d.Remove(in("synced"))
		d.Mkdir(in(last))
	}
	d := newDisk(t, None, 0)
	calls(d, d.root)
	n := d.Operations()
	if n != 19 {
		t.Fatalf("%d operations: %q", n, d.names)
	}
	all := map[string]string{"synced": "synced", "unsynced": "unsynced", "unnamed": "unnamed", "from": "/", "to": "/", "to/y": "x"}
	with := func(changes map[string]string) map[string]string {
		m := map[string]string{}
		for _, part := range []map[string]string{all, changes} {
			for name, content := range part {
				m[name] = content
			}
		}
		for name, content := range m {
			if content == "gone" {
				delete(m, name)
			}
		}
		return m
	}
	for _, test := range []struct {
		failure Failure
		at      int
		want    map[string]string
	}{
		{Kill, n, with(map[string]string{"synced": "gone"})},
		{PowerCut, n, with(map[string]string{"unsynced": "", "unnamed": "gone"})},
		{NamesFirst, n, with(map[string]string{"synced": "gone", "unsynced": strings.Repeat("\x00", 8)})},
		{Once, n, with(map[string]string{"synced": "gone"})},
		{Full, n, with(map[string]string{"synced": "gone"})},
		{Once, n - 1, with(map[string]string{last: "/"})},
		{Full, n - 4, with(map[string]string{"synced": "gone", "unnamed": "gone"})},
		{Once, 2, with(map[string]string{"synced": "gone", last: "/"})}, // half a write, of a file that goes later
	} {
		d := newDisk(t, test.failure, test.at)
		calls(d, d.root)
		if err := d.Restart(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, tree(t, d.root)); diff != "" {
			t.Errorf("%v at %d (%s):\n%s", test.failure, test.at, d.Struck(), diff)
		}
	}
}

func newDisk(t *testing.T, failure Failure, at int) *Disk {
	t.Helper()
	d, err := New(t.TempDir(), failure, at)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestReplace: wherever a write of a file fails, the file is afterwards what it was or what it was to be, and nothing else is
// there once the same write has succeeded.
func TestReplace(t *testing.T) {
	content := strings.Repeat("after", 1<<15)
	for _, failure := range Failures {
		for at := 1; ; at++ {
			root := t.TempDir()
			path := filepath.Join(root, "x")
			if err := os.WriteFile(path, []byte("before"), 0o666); err != nil {
				t.Fatal(err)
			}
			d, err := New(root, failure, at)
			if err != nil {
				t.Fatal(err)
			}
			restore := disk.Use(d)
			err = disk.WriteFile(path, []byte(content))
			restore()
			if d.Struck() == "" {
				break
			}
			if err := d.Restart(); err != nil {
				t.Fatal(err)
			}
			got := tree(t, root)["x"]
			if got != "before" && got != content || err == nil && got != content {
				t.Errorf("%v at %d (%s): %v, left %d bytes", failure, at, d.Struck(), err, len(got))
			}
			if failure == Full && d.Struck() != "" && err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("%v does not name the file", err)
			}
		}
	}
}

// TestMkdirAll: a folder that was reported made is there after a power cut, whatever lies above it.
func TestMkdirAll(t *testing.T) {
	for at := 1; ; at++ {
		root := t.TempDir()
		d, err := New(root, PowerCut, at)
		if err != nil {
			t.Fatal(err)
		}
		restore := disk.Use(d)
		first := disk.MkdirAll(filepath.Join(root, "a", "b"))
		second := disk.MkdirAll(filepath.Join(root, "a", "c"))
		restore()
		if first != nil && !errors.Is(first, ErrGone) || second != nil && !errors.Is(second, ErrGone) {
			t.Fatal(first, second)
		}
		if err := d.Restart(); err != nil {
			t.Fatal(err)
		}
		left := tree(t, root)
		if first == nil && left["a/b"] != "/" || second == nil && left["a/c"] != "/" {
			t.Errorf("power cut at %d (%s): %v, %v, left %v", at, d.Struck(), first, second, left)
		}
		if d.Struck() == "" {
			return
		}
	}
}
