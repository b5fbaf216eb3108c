package ort

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNoGPU takes the real library through what can be missing for CUDA, each in a process of its own.
func TestNoGPU(t *testing.T) {
	switch os.Getenv("ORT_TEST_CUDA") {
	case "ready":
		fmt.Print(Ready(CUDA))
		os.Exit(0)
	case "signal":
		fmt.Print(heardAfterCUDA())
		os.Exit(0)
	}
	try := func(dir, mode string) string {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run", "^TestNoGPU$")
		cmd.Env = append(os.Environ(), "ORT_TEST_CUDA="+mode, "METALORA_ORT="+dir)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v, %s", mode, err, out)
		}
		return string(out)
	}
	dir, name := aloneWithLibrary(t)
	if runtime.GOARCH != "amd64" { // the package has no GPU build for others
		if said := try(dir, "ready"); !strings.Contains(said, name+" is a build for CPUs") {
			t.Errorf("said %q", said)
		}
		return
	}
	files := providerFiles("linux")
	if said := try(dir, "ready"); !strings.Contains(said, files[0]+" and "+files[1]+" not found beside ONNX Runtime in "+dir) {
		t.Errorf("without the providers it said %q", said)
	}
	bridge := compile(t, t.TempDir(), "bridge", "void Provider_SetHost(void *host) {}\n", "")
	place(t, bridge, filepath.Join(dir, files[0]))
	if said := try(dir, "ready"); !strings.Contains(said, "cuda: "+files[1]+" not found beside") {
		t.Errorf("without the provider it said %q", said)
	}
	t.Run("no CUDA libraries", func(t *testing.T) {
		place(t, provider(t, "", "libcublasLt.so.13"), filepath.Join(dir, files[1]))
		if said := try(dir, "ready"); !strings.Contains(said, "libcublasLt.so.13 was not found (install CUDA's libraries") {
			t.Errorf("said %q", said)
		}
	})
	t.Run("a provider that takes the signals", func(t *testing.T) {
		const takes = "#include <signal.h>\nstatic void deaf(int s) {}\n__attribute__((constructor)) static void take(void) { signal(SIGUSR1, deaf); }\n"
		place(t, provider(t, takes, ""), filepath.Join(dir, files[1]))
		if said := try(dir, "signal"); said != "heard" {
			t.Errorf("a signal after CUDA was tried: %s", said)
		}
	})
}

// heardAfterCUDA tries CUDA and then whether a signal still reaches the program.
func heardAfterCUDA() string {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGUSR1)
	if err := Ready(CUDA); err == nil {
		return "the stub passed for CUDA"
	}
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	select {
	case <-heard:
		return "heard"
	case <-time.After(10 * time.Second):
		return "not heard"
	}
}

// aloneWithLibrary is a folder with the library and nothing beside it.
func aloneWithLibrary(t *testing.T) (dir, name string) {
	t.Helper()
	library, err := Library()
	if err != nil {
		t.Fatal(err)
	}
	dir, name = t.TempDir(), filepath.Base(library)
	place(t, library, filepath.Join(dir, name))
	return dir, name
}

func place(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(to)
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// provider compiles a library in the provider's place, which needs another by a name that the loader knows no file of.
func provider(t *testing.T, source, needs string) string {
	t.Helper()
	dir := t.TempDir()
	if needs == "" {
		return compile(t, dir, "provider", source, "")
	}
	needed := compile(t, dir, "needed", "int needed(void) { return 1; }\n", "", "-Wl,-soname,"+needs)
	return compile(t, dir, "provider", "extern int needed(void);\nint use(void) { return needed(); }\n", "", needed)
}
