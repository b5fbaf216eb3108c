package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"metalora/models"
	"metalora/pipeline/machine"
	"metalora/pipeline/rng"
)

// GradCost is what `metalora grad` of a file by every weight costs, from file to file, as a process of its own.
type GradCost struct {
	Size    string  `json:"size"`
	Layers  int     `json:"layers"`
	FileMiB float64 `json:"file_mib"`
	Seconds float64 `json:"seconds"` // median
	Low     float64 `json:"low_s"`   // its quartiles
	High    float64 `json:"high_s"`
	CPU     float64 `json:"cpu_s"`    // user and system, median
	PeakMiB float64 `json:"peak_mib"` // resident, the largest; 0: not known
	Ratio   float64 `json:"ratio"`    // of that to the file
}

// MeasureGrad writes an export of a RoBERTa of a size with random weights, and runs program on it so many times. A first run, which
// warms the pages of the file, does not count.
func MeasureGrad(ctx context.Context, program, size string, repeats int) (*GradCost, error) {
	shape, ok := Sizes[size]
	if !ok {
		return nil, fmt.Errorf("size %q is not known", size)
	}
	dir, err := os.MkdirTemp("", "metalora-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file, config := filepath.Join(dir, "model.onnx"), shape()
	if err := writeExport(file, config); err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	c := &GradCost{Size: size, Layers: config.NumHiddenLayers, FileMiB: float64(info.Size()) / (1 << 20)}
	var seconds, cpu []float64
	for i := range repeats + 1 {
		took, used, peak, err := gradOnce(ctx, program, file)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			seconds, cpu, c.PeakMiB = append(seconds, took), append(cpu, used), max(c.PeakMiB, float64(peak))
		}
	}
	c.Seconds, c.Low, c.High = quantile(seconds, 0.5), quantile(seconds, 0.25), quantile(seconds, 0.75)
	c.CPU, c.Ratio = quantile(cpu, 0.5), c.PeakMiB/c.FileMiB
	return c, nil
}

// writeExport writes a model with random weights as one .onnx file.
func writeExport(file string, config models.Config) error {
	graph, err := config.Forward(models.Dropout{})
	if err != nil {
		return err
	}
	m, err := models.Fill(graph, models.Initialise(config, rng.New(1, "bench", "grad")), nil)
	if err != nil {
		return err
	}
	return m.WriteFile(file)
}

// gradOnce runs `program grad` and returns its seconds on the clock and of processor, and its peak memory in MiB.
func gradOnce(ctx context.Context, program, file string) (seconds, cpu float64, peak int, err error) {
	out := filepath.Join(filepath.Dir(file), "grad.onnx")
	defer os.Remove(out)
	cmd := exec.CommandContext(ctx, program, "grad", file, "--wrt", "*", "-o", out)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, 0, fmt.Errorf("running %s grad: %w", program, err)
	}
	done := make(chan struct{})
	peaks := watch(cmd.Process.Pid, done)
	err = cmd.Wait()
	seconds = time.Since(start).Seconds()
	close(done)
	if peak = <-peaks; err != nil {
		return 0, 0, 0, fmt.Errorf("running %s grad: %w\n%s", program, err, &stderr)
	}
	return seconds, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), peak, nil
}

// watch asks a process for its peak memory until it is done, and gives the last answer.
func watch(pid int, done <-chan struct{}) <-chan int {
	const pause = 2 * time.Millisecond // files of hundreds of megabytes take far longer to write
	peaks := make(chan int, 1)
	go func() {
		peak := 0
		for {
			select {
			case <-done:
				peaks <- peak
				return
			case <-time.After(pause):
				peak = max(peak, int(machine.PeakOf(pid)>>20))
			}
		}
	}()
	return peaks
}
