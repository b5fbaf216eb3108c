package library

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// put writes a file that passes for a library of unknown version (a Windows one, by its first bytes).
func put(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("MZ and more"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// alone points every place that a test can point elsewhere to empty folders, and returns the cache's file.
func alone(t *testing.T) (cached string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	t.Setenv("LD_LIBRARY_PATH", "")
	t.Setenv("DYLD_LIBRARY_PATH", "")
	t.Setenv(Variable, "")
	cached, err := CachePath(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	return cached
}

func TestFind(t *testing.T) {
	t.Run("cache", func(t *testing.T) {
		cached := put(t, alone(t))
		if got, err := Find(); err != nil || got != cached {
			t.Errorf("got %q, %v; want %q", got, err, cached)
		}
	})
	t.Run("the loader's path comes after the cache", func(t *testing.T) {
		cached, folder := alone(t), t.TempDir()
		t.Setenv("LD_LIBRARY_PATH", folder)
		t.Setenv("DYLD_LIBRARY_PATH", folder)
		there := put(t, filepath.Join(folder, names()[len(names())-1]))
		if got, err := Find(); err != nil || got != there {
			t.Errorf("got %q, %v; want %q", got, err, there)
		}
		put(t, cached)
		if got, err := Find(); err != nil || got != cached {
			t.Errorf("got %q, %v; want %q", got, err, cached)
		}
	})
	t.Run("beside the executable comes first", func(t *testing.T) {
		put(t, alone(t))
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		beside := put(t, filepath.Join(filepath.Dir(exe), "lib", names()[0]))
		defer os.RemoveAll(filepath.Dir(beside))
		if got, err := Find(); err != nil || got != beside {
			t.Errorf("got %q, %v; want %q", got, err, beside)
		}
	})
}

func TestFindByName(t *testing.T) {
	put(t, alone(t))
	folder := t.TempDir()
	file := put(t, filepath.Join(folder, names()[0]))
	elsewhere := put(t, filepath.Join(folder, "mine.so"))
	for _, c := range []struct{ name, value, want, err string }{
		{"file", elsewhere, elsewhere, ""},
		{"folder", folder, file, ""},
		{"absent", filepath.Join(folder, "none.so"), "", "as METALORA_ORT says"},
		{"empty folder", t.TempDir(), "", "holds none of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(Variable, c.value)
			got, err := Find()
			if got != c.want || (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %q, %v; want %q, %q", got, err, c.want, c.err)
			}
		})
	}
}

func TestFindNothing(t *testing.T) {
	cached := alone(t)
	if err := os.MkdirAll(filepath.Dir(cached), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cached, []byte("half a download"), 0o644); err != nil {
		t.Fatal(err)
	}
	path, err := Find()
	if err == nil && !strings.HasPrefix(path, "/usr") && !strings.HasPrefix(path, "/opt") {
		t.Fatalf("found %s", path)
	}
	if err == nil {
		return // this machine has a library in a system folder
	}
	for _, part := range []string{Release, filepath.Dir(cached), cached + ": not a shared library", "./task ort", Variable} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
}

func TestVersion(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "not a shared library: EOF"},
		{"short", "\x7fE", "not a shared library: unexpected EOF"},
		{"text", "hello", "not a shared library: it starts with 68 65 6c 6c"},
		{"half ELF", "\x7fELF\x02\x01\x01", "not a shared library"},
		{"half Mach-O", "\xcf\xfa\xed\xfe", "not a shared library"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, "file")
			if err := os.WriteFile(path, []byte(c.data), 0o644); err != nil {
				t.Fatal(err)
			}
			if version, err := Version(path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, %v; want %q", version, err, c.want)
			}
		})
	}
	if _, err := Version(filepath.Join(dir, "absent")); !os.IsNotExist(err) {
		t.Errorf("an absent file: %v", err)
	}
}

// TestMachVersion reads the smallest macOS library there can be: a header and the command that states its version.
func TestMachVersion(t *testing.T) {
	const file = "\xcf\xfa\xed\xfe" + "\x0c\x00\x00\x01" + "\x00\x00\x00\x00" + // 64 bits, ARM64
		"\x06\x00\x00\x00" + "\x01\x00\x00\x00" + "\x18\x00\x00\x00" + // a library; one command of 24 bytes
		"\x00\x00\x00\x00" + "\x00\x00\x00\x00" +
		"\x0d\x00\x00\x00" + "\x18\x00\x00\x00" + "\x18\x00\x00\x00" + // LC_ID_DYLIB
		"\x00\x00\x00\x00" + "\x03\x1e\x01\x00" + "\x00\x00\x01\x00"
	path := filepath.Join(t.TempDir(), "lib.dylib")
	if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Version(path); err != nil || got != "1.30.3" {
		t.Errorf("got %q, %v; want 1.30.3", got, err)
	}
	if err := Check(path); err != nil {
		t.Error(err)
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1.28.9", "1.29.0", true}, {"1.29.0", "1.29.0", false}, {"1.30.0", "1.29.0", false},
		{"1.9", "1.29.0", true}, {"2", "1.29.0", false}, {"0.99.1", "1.29.0", true}, {"1.29", "1.29.0", false},
	} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("older(%s, %s) = %v", c.a, c.b, got)
		}
	}
}

func FuzzVersion(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Add([]byte("\xcf\xfa\xed\xfe\x0c\x00\x00\x01\x00\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00\x00\x18\x00\x00\x00"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if version, err := Version(path); (err == nil) == (version == "") {
			t.Errorf("version %q with error %v", version, err)
		}
	})
}
