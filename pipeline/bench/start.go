package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"metalora/models"
	"metalora/pipeline/machine"
	"metalora/pipeline/rng"
)

// StartCost is what the start of a training of every weight with LoRA takes, as a process of its own: from its first instruction to
// its first turn.
type StartCost struct {
	Size      string  `json:"size"`
	FileMiB   float64 `json:"file_mib"` // of safetensors
	Ready     float64 `json:"ready_s"`  // until the first turn could begin, median
	Low       float64 `json:"low_s"`    // its quartiles
	High      float64 `json:"high_s"`
	FirstTurn float64 `json:"first_turn_s"` // until it is done, median
	PeakMiB   float64 `json:"peak_mib"`     // resident until the first turn, the largest; 0: not known
	FixedMiB  float64 `json:"fixed_mib"`    // of a process whose model has the same layers, next to no weights: program, engine, graph, turns
	Ratio     float64 `json:"ratio"`        // of what is beyond the fixed part to the file
}

// started is one start.
type started struct{ ready, firstTurn, peak float64 }

// MeasureStart writes a RoBERTa of a size with random weights and starts program on it so many times, on the turns of data. A first
// start, which warms the pages of the file, does not count.
func MeasureStart(ctx context.Context, program, data, size string, repeats int) (*StartCost, error) {
	shape, ok := Sizes[size]
	if !ok {
		return nil, fmt.Errorf("size %q is not known: demo, minilm or base", size)
	}
	config := shape()
	file, all, err := startsOf(ctx, program, data, config, repeats+1)
	if err != nil {
		return nil, err
	}
	narrow := config
	narrow.HiddenSize, narrow.IntermediateSize = config.NumAttentionHeads, config.NumAttentionHeads
	narrowFile, fixed, err := startsOf(ctx, program, data, narrow, 2)
	if err != nil {
		return nil, err
	}
	c := &StartCost{Size: size, FileMiB: file, FixedMiB: fixed[1].peak - narrowFile}
	var ready, first []float64
	for _, s := range all[1:] {
		ready, first, c.PeakMiB = append(ready, s.ready), append(first, s.firstTurn), max(c.PeakMiB, s.peak)
	}
	c.Ready, c.Low, c.High = quantile(ready, 0.5), quantile(ready, 0.25), quantile(ready, 0.75)
	c.FirstTurn, c.Ratio = quantile(first, 0.5), (c.PeakMiB-c.FixedMiB)/c.FileMiB
	return c, nil
}

// startsOf starts program on a model of random weights a number of times. file is the size of its weights in MiB.
func startsOf(ctx context.Context, program, data string, config models.Config, times int) (file float64, all []started, err error) {
	dir, err := os.MkdirTemp("", "metalora-bench-*")
	if err != nil {
		return 0, nil, err
	}
	defer os.RemoveAll(dir)
	if err := config.Save(dir, models.Initialise(config, rng.New(1, "bench", "start")), ""); err != nil {
		return 0, nil, err
	}
	info, err := os.Stat(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		return 0, nil, err
	}
	for range times {
		s, err := startOnce(ctx, program, data, dir)
		if err != nil {
			return 0, nil, err
		}
		all = append(all, s)
	}
	return float64(info.Size()) / (1 << 20), all, nil
}

// startOnce runs `program bench peer` on a model until its first turn is done.
func startOnce(ctx context.Context, program, data, model string) (started, error) {
	cmd := exec.CommandContext(ctx, program, "bench", "peer", "--mode", "full", "--data", data, "--model", model)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return started{}, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return started{}, fmt.Errorf("running %s bench peer: %w", program, err)
	}
	s, err := firstTurn(begin, cmd.Process.Pid, in, bufio.NewReader(out))
	in.Close()
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return started{}, fmt.Errorf("running %s bench peer: %w\n%s", program, err, &stderr)
	}
	return s, nil
}

// firstTurn waits until a peer says that it is ready, reads its peak memory and asks for a turn.
func firstTurn(begin time.Time, pid int, in io.Writer, out *bufio.Reader) (started, error) {
	if err := answered(out); err != nil {
		return started{}, err
	}
	s := started{ready: time.Since(begin).Seconds(), peak: float64(machine.PeakOf(pid)) / (1 << 20)}
	if _, err := io.WriteString(in, "turn 0\n"); err != nil {
		return started{}, err
	}
	err := answered(out)
	s.firstTurn = time.Since(begin).Seconds()
	return s, err
}

// answered reads a line that is no error.
func answered(out *bufio.Reader) error {
	line, err := out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("it ended without an answer: %w", err)
	}
	var answer struct{ Error string }
	if err := json.Unmarshal(line, &answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}
