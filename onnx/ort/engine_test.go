package ort

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"metalora/onnx/ort/library"
)

func TestStart(t *testing.T) {
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if err := Start(""); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if Version() == "" {
		t.Error("a loaded library has no version")
	}
	path, err := Library()
	if err != nil {
		t.Fatal(err)
	}
	if err := Start(path); err != nil {
		t.Errorf("starting the same library again: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other.so")
	if err := Start(other); err == nil || !strings.Contains(err.Error(), "already runs on "+path) {
		t.Errorf("starting another library: %v", err)
	}
}

// TestLibraryOfNoUse starts a process of its own for each library that must be refused, and one for the good library
// after a bad one.
func TestLibraryOfNoUse(t *testing.T) {
	if path := os.Getenv("ORT_TEST_START"); path != "" {
		if err := Start(path); err != nil {
			os.Stdout.WriteString(err.Error())
			os.Exit(9)
		}
		os.Exit(0)
	}
	dir := t.TempDir()
	text, cut := filepath.Join(dir, "text.so"), filepath.Join(dir, "cut.so")
	write := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(text, []byte("version https://git-lfs.github.com/spec/v1"))
	good, err := Library()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write(cut, data[:len(data)/2])
	for _, c := range []struct{ name, path, want string }{
		{"absent", filepath.Join(dir, "absent.so"), "absent.so"},
		{"text", text, text + ": not a shared library"},
		{"cut off", cut, cut},
		{"too old", stub(t, dir, "old", "VERS_1.17.0"), "is ONNX Runtime 1.17.0; metalora needs " + library.Minimum},
		{"too old, nameless", stub(t, dir, "nameless", ""), "C interface 29"},
		{"another library", other(t, dir), "OrtGetApiBase"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run", "^TestLibraryOfNoUse$")
			cmd.Env = append(os.Environ(), "ORT_TEST_START="+c.path)
			out, err := cmd.Output()
			if cmd.ProcessState.ExitCode() != 9 || !strings.Contains(string(out), c.want) {
				t.Errorf("%v, %q; want exit 9 and %q", err, out, c.want)
			}
		})
	}
}

// stub compiles a library with ONNX Runtime's entry point that offers no version of the interface, as an older one
// answers to a newer number.
func stub(t *testing.T, dir, name, version string) string {
	t.Helper()
	const source = `
static const void *get(unsigned v) { return 0; }
static const char *version(void) { return "1.17.0"; }
static struct { const void *(*get)(unsigned); const char *(*version)(void); } base = { get, version };
const void *OrtGetApiBase(void) { return &base; }
`
	return compile(t, dir, name, source, version)
}

func other(t *testing.T, dir string) string {
	return compile(t, dir, "another", "int nothing(void) { return 0; }", "")
}

// compile makes a shared library with the C compiler that cgo needs anyway. The version is a symbol version on Linux;
// elsewhere it is the library's own. more goes to the compiler.
func compile(t *testing.T, dir, name, source, version string, more ...string) string {
	t.Helper()
	c, out := filepath.Join(dir, name+".c"), filepath.Join(dir, name+".so")
	if err := os.WriteFile(c, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-shared", "-fPIC", "-o", out, c}, more...)
	if number, ok := strings.CutPrefix(version, "VERS_"); ok && runtime.GOOS == "darwin" {
		args = append(args, "-current_version", number)
	} else if ok {
		script := filepath.Join(dir, name+".map")
		if err := os.WriteFile(script, []byte(version+" { global: *; };\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-Wl,--version-script="+script)
	}
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	if said, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("compiling a stub library: %v\n%s", err, said)
	}
	return out
}
