package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"metalora/onnx/ort"
	"metalora/onnx/ort/library"
	"metalora/pipeline/fault"
)

// diagnosis is what the program finds on this computer.
type diagnosis struct {
	OK       bool          `json:"ok"`
	Version  string        `json:"version"`
	System   string        `json:"system"`
	Library  libraryReport `json:"library"`
	Threads  int           `json:"threads"`      // that a run uses by default
	CPUs     int           `json:"cpus"`         //
	Memory   int64         `json:"memory_bytes"` // that this process may have; 0: not known
	Cache    string        `json:"cache"`
	Problems []problem     `json:"problems"`
}

type libraryReport struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

type problem struct {
	What string `json:"problem"`
	Fix  string `json:"fix"`
}

func (p *program) doctor() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is missing on this computer, and how to get it",
		Long: `Doctor looks for the ONNX Runtime library and loads it, and shows the threads and the memory that a run may use. It exits 0
where all is well and 3 where something is missing.`,
		Example: `  metalora doctor
  metalora doctor --json`,
		Args: takes(0),
		RunE: func(*cobra.Command, []string) error {
			d := diagnose()
			if asJSON {
				if err := p.json(d); err != nil {
					return err
				}
			} else {
				p.show(d)
			}
			if !d.OK {
				return fault.Input(fmt.Errorf("%d problem(s) found", len(d.Problems)))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON document")
	return cmd
}

func diagnose() *diagnosis {
	d := &diagnosis{Version: version(), System: runtime.GOOS + "/" + runtime.GOARCH, Threads: runtime.GOMAXPROCS(0), CPUs: runtime.NumCPU(),
		Memory: memoryLimit("/"), Problems: []problem{}}
	d.findLibrary()
	if cache, err := os.UserCacheDir(); err == nil {
		d.Cache = filepath.Join(cache, "metalora")
	} else {
		d.add("there is no cache folder: "+err.Error(), "export XDG_CACHE_HOME=DIR (a folder that may be written to)")
	}
	// Scoring with a base-size model took 1.9 GB, training all its weights and LoRA 5.9 GB (BENCHMARKS.md).
	if least := int64(2 << 30); d.Memory > 0 && d.Memory < least {
		d.add(fmt.Sprintf("%s of memory are little: a base-size model needs more", size(&d.Memory)), "raise the memory limit, or use smaller models (metalora demo)")
	}
	d.OK = len(d.Problems) == 0
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

func (d *diagnosis) add(what, fix string) { d.Problems = append(d.Problems, problem{what, fix}) }

func (p *program) show(d *diagnosis) {
	memory := "not known"
	if d.Memory > 0 {
		memory = size(&d.Memory)
	}
	engine := "not found"
	if d.Library.Version != "" {
		engine = d.Library.Version + " at " + d.Library.Path
	}
	p.printf("metalora      %s, %s\nONNX Runtime  %s\nthreads       %d of %d CPUs\nmemory        %s\ncache         %s\n",
		d.Version, d.System, engine, d.Threads, d.CPUs, memory, d.Cache)
	for _, problem := range d.Problems {
		p.printf("\nproblem: %s\n    fix: %s\n", problem.What, problem.Fix)
	}
	if d.OK {
		p.printf("\nall is well\n")
	}
}
