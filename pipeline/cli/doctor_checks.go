package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"metalora/onnx/kernels"
	"metalora/onnx/ort"
	"metalora/onnx/ort/library"
	"metalora/pipeline"
	"metalora/pipeline/machine"
)

const (
	leastMemory = 2 << 30 // scoring with a base-size model takes about half of it, adapting it with LoRA all
	leastFiles  = 256     // a run has some ten open, and one for each shard of a model
)

// diagnose looks at everything that does not hang on an experiment.
func diagnose() *diagnosis {
	here := machine.Now()
	d := &diagnosis{Version: version(), System: runtime.GOOS + "/" + runtime.GOARCH, Threads: runtime.GOMAXPROCS(0), CPUs: runtime.NumCPU(),
		Features: pipeline.CPUFeatures(), Kernels: kernelReport{kernels.Identity(), kernels.Missing()}, Memory: here.Total, Available: here.Available, Group: here.Group, Problems: []problem{}}
	d.findLibrary()
	d.checkCPU()
	if d.Memory > 0 && d.Memory < leastMemory {
		d.add(fmt.Sprintf("%s of memory are little: a base-size model needs more", size(&d.Memory)), "raise the memory limit, or use smaller models (metalora demo)")
	}
	d.checkLimits()
	d.checkFolders()
	d.Tools = toolReport{Go: found("go"), CC: found("cc", "gcc", "clang"), NPM: found("npm")}
	return d
}

func (d *diagnosis) findLibrary() {
	path, err := ort.Library()
	if err == nil {
		d.Library.Path = path
		err = ort.Start(path)
	}
	if err != nil {
		d.add(err.Error(), fmt.Sprintf("./task ort (in the source folder), or export %s=/path/to/%s", library.Variable, library.FileName(runtime.GOOS)))
		return
	}
	d.Library.Version = ort.Version()
}

// checkCPU names what makes every run slow: no vector instructions of a width that the engine has good kernels for.
func (d *diagnosis) checkCPU() {
	if runtime.GOARCH == "amd64" && !slices.Contains(d.Features, "avx2") {
		d.add("this CPU has no AVX2, or it is hidden: runs take several times as long", "give the virtual machine its host's CPU model (qemu: -cpu host)")
	}
}

// checkLimits looks at what the shell allows its processes.
func (d *diagnosis) checkLimits() {
	limits := shellLimits()
	d.Files = limits.files
	if d.Files > 0 && d.Files < leastFiles {
		d.add(fmt.Sprintf("%d files may be open at once, which is little", d.Files), "ulimit -n 1024")
	}
	if limits.space > 0 {
		d.add(fmt.Sprintf("address space is limited to %s, of which the engine reserves more than it uses", size(&limits.space)), "ulimit -v unlimited")
	}
	if limits.file > 0 {
		d.add(fmt.Sprintf("files are limited to %s", size(&limits.file)), "ulimit -f unlimited")
	}
}

// checkFolders tries the folders that runs write to.
func (d *diagnosis) checkFolders() {
	if cache, err := os.UserCacheDir(); err == nil {
		d.Cache = filepath.Join(cache, "metalora")
		d.writable(d.Cache, "the cache", "export XDG_CACHE_HOME=DIR (a folder that may be written to)")
	} else {
		d.add("there is no cache folder: "+err.Error(), "export XDG_CACHE_HOME=DIR (a folder that may be written to)")
	}
	d.Temporary = os.TempDir()
	d.writable(d.Temporary, "the temporary folder", "export TMPDIR=DIR (a folder that may be written to)")
	var err error
	if d.Runs, err = filepath.Abs("runs"); err != nil {
		d.Runs = "runs"
	}
	d.writable(d.Runs, "the run folder", "go to a folder that may be written to, or give --out DIR")
}

// writable tries to make a file in a folder, or where that is not there yet, in the nearest one above it.
func (d *diagnosis) writable(dir, what, fix string) {
	for {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			d.add(fmt.Sprintf("%s %s is no folder", what, dir), fix)
			return
		}
		if above := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && above != dir {
			dir = above
			continue
		}
		break
	}
	file, err := os.CreateTemp(dir, ".metalora-*")
	if err != nil {
		d.add(fmt.Sprintf("%s cannot be written to: %v", what, err), fix)
		return
	}
	_, err = file.Write([]byte("metalora"))
	if err := errors.Join(err, file.Close(), os.Remove(file.Name())); err != nil {
		d.add(fmt.Sprintf("%s cannot be written to: %v", what, err), fix)
	}
}

// found is where the first of some programs lies.
func found(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// computes tries the device that an experiment asks for. A library that is not there has been named before.
func (d *diagnosis) computes(on ort.Device) {
	if on != ort.CUDA || d.Library.Version == "" {
		return
	}
	err := ort.Ready(on)
	if l, ok := errors.AsType[*ort.Lack](err); ok {
		d.add(l.What, l.Fix)
	} else if err != nil {
		d.add(err.Error(), "compute on the CPU: --set device=cpu")
	}
}

// fits estimates an experiment's peak and holds it against the memory.
func (d *diagnosis) fits(e *pipeline.Experiment) {
	d.Peak = e.PeakBytes()
	if d.Peak == 0 || d.Available == 0 || d.Peak <= d.Available {
		return
	}
	d.add(fmt.Sprintf("memory short: a unit of the experiment takes about %s and %s are free", size(&d.Peak), size(&d.Available)),
		"end other programs, raise the limit, or train less: --set data.max_length=128, adapt.families=[lora-8], a smaller model")
}
