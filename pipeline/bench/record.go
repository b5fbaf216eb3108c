package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"metalora/onnx/ort"
	"metalora/pipeline/train"
)

// Environment is what readings were taken on.
type Environment struct {
	Processor string    `json:"processor"`
	Cores     int       `json:"cores"`
	Threads   int       `json:"threads"` // of the engine
	System    string    `json:"system"`
	Engine    string    `json:"onnxruntime"`
	Kernels   string    `json:"kernels"` // see [train.Spec.Kernels]
	Go        string    `json:"go"`
	Revision  string    `json:"revision"` // of the program; empty: not known
	Time      time.Time `json:"time"`
}

func here(threads int, noKernels bool) Environment {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	e := Environment{Processor: cpuName(), Cores: runtime.NumCPU(), Threads: threads, System: runtime.GOOS + " " + runtime.GOARCH,
		Engine: ort.Version(), Kernels: train.Spec{NoKernels: noKernels}.Kernels(), Go: runtime.Version(), Time: time.Now().UTC().Truncate(time.Second)}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				e.Revision = s.Value
			}
		}
	}
	return e
}

// Machine says in a line what readings are taken on.
func Machine(threads int, noKernels bool) string {
	e := here(threads, noKernels)
	return fmt.Sprintf("%s, %d threads, %s, ONNX Runtime %s, kernels: %s, Go %s", e.Processor, e.Threads, e.System, e.Engine, e.Kernels, e.Go)
}

// Save writes readings with their environment to a file, as JSON.
func Save(path string, threads int, noKernels bool, readings any) error {
	data, err := json.MarshalIndent(map[string]any{"environment": here(threads, noKernels), "readings": readings}, "", " ")
	if err != nil {
		return fmt.Errorf("saving readings: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("saving readings: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o666); err != nil {
		return fmt.Errorf("saving readings: %w", err)
	}
	return nil
}
