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
	if e := r.keptEpoch(); e != nil {
		return e.HeldOut.Accuracy
	}
	return 0
}

// keptEpoch is the kept epoch's numbers; nil where there are none.
func (r *Result) keptEpoch() *eval.Epoch {
	for i, e := range r.Epochs {
		if e.Epoch == r.Kept {
			return &r.Epochs[i]
		}
	}
	return nil
}

func (r *Result) write(dir string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	return disk.WriteFile(filepath.Join(dir, ResultsFile), append(data, '\n'))
}

// readResult reads the results of a unit that has ended. They must be such as any unit may have; whose they say they are is for
// [Result.of] to check.
func readResult(dir string) (*Result, error) {
	r := &Result{}
	data, err := confined.ReadIn(dir, ResultsFile, maxRecord)
	if err == nil {
		err = decode(data, r)
	}
	if err == nil {
		err = r.whole()
	}
	if err != nil {
		return nil, fmt.Errorf("reading results %s: %w", filepath.Join(dir, ResultsFile), err)
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

// maxLine is the longest line of metrics that is read: that of a step with 50,000 inner ones.
const maxLine = 4 << 20

// readLosses reads a unit's steps, counted from 1, and losses back. There must be a line for each step that the unit's results count, in
// order, and one for each epoch that was scored.
func readLosses(dir string, r *Result) (steps []int, losses []float64, err error) {
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
	err = readMetrics(file, r.Steps, len(r.Epochs), func(_ []byte, m *measured) error {
		if m != nil {
			steps, losses = append(steps, m.Step+1), append(losses, m.Loss)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading metrics %s:%w", filepath.Join(dir, MetricsFile), err)
	}
	return steps, losses, nil
}

// measured is what is read of a step's line.
type measured struct {
	Step    int             `json:"step"`
	Loss    float64         `json:"loss"`
	HeldOut json.RawMessage `json:"held_out"` // of an epoch's line
}

// readMetrics goes through lines of metrics. It must meet so many steps, one after the other from 0, and so many epochs; each gets the
// line, and what it says of a step, nil for an epoch's. An error begins with the number of the line.
func readMetrics(from io.Reader, steps, epochs int, each func(line []byte, m *measured) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	step, epoch, n := 0, 0, 1
	for ; lines.Scan(); n++ {
		var m measured
		err := json.Unmarshal(lines.Bytes(), &m)
		is := &m
		switch {
		case err != nil:
		case m.HeldOut != nil:
			if is, epoch = nil, epoch+1; epoch > epochs {
				err = fmt.Errorf("more than the %d epochs that were scored", epochs)
			}
		case m.Step != step || step >= steps:
			err = fmt.Errorf("step %d, where step %d of %d belongs", m.Step, step, steps)
		case m.Loss < -1: // losses are not below zero, but for rounding
			err = fmt.Errorf("loss %g", m.Loss)
		default:
			step++
		}
		if err == nil {
			err = each(lines.Bytes(), is)
		}
		if err != nil {
			return fmt.Errorf("%d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%d: %w", n, err)
	}
	if step != steps || epoch != epochs {
		return fmt.Errorf("%d: it ends after %d of %d steps and %d of %d epochs", n, step, steps, epoch, epochs)
	}
	return nil
}
