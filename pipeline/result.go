package pipeline

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"metalora/eval"
	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
	"metalora/pipeline/train"
)

// Result is a unit's results.json: the same bits wherever and however often the unit ran.
type Result struct {
	Unit   string `json:"unit"`
	Kind   Kind   `json:"kind"`
	Method string `json:"method"`
	Seed   int    `json:"seed"`
	Family string `json:"family,omitempty"`
	Task   string `json:"task,omitempty"`
	Fold   int    `json:"fold,omitempty"`

	Parameters   int              `json:"parameters"` // that trained
	TrainTurns   int              `json:"train_turns"`
	HeldOutTurns int              `json:"held_out_turns"`
	Steps        int              `json:"steps"`
	Tokens       int              `json:"tokens"`                // trained on, without padding
	Skipped      int              `json:"skipped,omitempty"`     // turns left out because their loss or gradient was not finite
	Cut          int              `json:"cut"`                   // pairs whose context was cut to fit
	Kept         int              `json:"kept,omitempty"`        // retraining: the epoch whose weights were kept, from 1
	RateFactor   float64          `json:"rate_factor,omitempty"` // what the learning rates of the retraining were multiplied by
	Limit        int              `json:"limit,omitempty"`       // adaptation: the most training turns it might take; 0: all
	Notes        []string         `json:"notes,omitempty"`
	Together     *Together        `json:"together,omitempty"` // where several processes computed the unit: its last bits depend on their number
	Epochs       []eval.Epoch     `json:"epochs"`
	Turns        []eval.TurnScore `json:"turns,omitempty"` // adaptation: the last epoch's scores
}

// keptAccuracy is the accuracy on held-out turns of the retraining tasks that the kept epoch had.
func (r *Result) keptAccuracy() float64 {
	for _, e := range r.Epochs {
		if e.Epoch == r.Kept {
			return e.HeldOut.Accuracy
		}
	}
	return 0
}

func (r *Result) write(dir string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	return disk.WriteFile(filepath.Join(dir, ResultsFile), append(data, '\n'))
}

// readResult reads a finished unit's results.
func readResult(dir string) (*Result, error) {
	path := filepath.Join(dir, ResultsFile)
	data, err := confined.ReadIn(dir, ResultsFile, maxRecord)
	if err != nil {
		return nil, fmt.Errorf("reading results: %w", err)
	}
	r := &Result{}
	if err = confined.CheckJSON(data, maxRecordEntries); err == nil {
		err = json.Unmarshal(data, r)
	}
	if err != nil {
		return nil, fmt.Errorf("reading results %s: %w", path, err)
	}
	return r, nil
}

// metrics writes metrics.jsonl, one line a step and one an epoch.
type metrics struct {
	path string
	file disk.File
	out  *bufio.Writer
}

func newMetrics(dir string) (*metrics, error) {
	path := filepath.Join(dir, MetricsFile)
	file, err := disk.Create(path)
	if err != nil {
		return nil, fmt.Errorf("writing metrics: %w", err)
	}
	return &metrics{path, file, bufio.NewWriter(file)}, nil
}

// noMetrics goes nowhere: another process writes them.
func noMetrics() *metrics { return &metrics{out: bufio.NewWriter(io.Discard)} }

func (m *metrics) add(line any) error {
	data, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	_, err = m.out.Write(append(data, '\n'))
	return err
}

// sofar is what has been written.
func (m *metrics) sofar() ([]byte, error) {
	if err := m.out.Flush(); err != nil {
		return nil, fmt.Errorf("writing metrics: %w", err)
	}
	data, err := os.ReadFile(m.path)
	if err != nil {
		return nil, fmt.Errorf("reading metrics back: %w", err)
	}
	return data, nil
}

func (m *metrics) close() error {
	err := m.out.Flush()
	if m.file == nil {
		return err
	}
	return errors.Join(err, m.file.Close())
}

// readLosses reads a unit's steps, counted from 1, and losses back.
func readLosses(dir string) (steps []int, losses []float64, err error) {
	path := filepath.Join(dir, MetricsFile)
	folder, err := confined.OpenFolder(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer folder.Close()
	file, err := folder.Open(MetricsFile)
	if err != nil {
		return nil, nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		var line struct {
			train.Result
			HeldOut json.RawMessage `json:"held_out"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, nil, fmt.Errorf("reading metrics %s:%d: %w", path, n, err)
		}
		if line.HeldOut == nil {
			steps, losses = append(steps, line.Step+1), append(losses, line.Loss)
		}
	}
	return steps, losses, lines.Err()
}
