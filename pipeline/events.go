package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"metalora/eval"
	"metalora/pipeline/board"
	"metalora/pipeline/disk"
	"metalora/pipeline/train"
)

// eventsFolder holds event files for TensorBoard: in a unit's work folder while it runs, then in the run's folder, a folder for
// each unit and one for the report. Nothing reads them back.
const eventsFolder = "events"

// events shows a unit's training on a board.
type events struct {
	unit   *Unit
	note   func(text string)
	writer *board.Writer
}

func newEvents(u *Unit, p Progress) *events { return &events{unit: u, note: p.Note} }

// begin opens a file and says what the unit is. done are the steps that lie behind.
func (e *events) begin(done int) {
	if e == nil {
		return
	}
	var err error
	if e.writer, err = board.Create(filepath.Join(e.unit.Work, eventsFolder), done); err != nil {
		e.note(err.Error())
		return
	}
	e.writer.Hyperparameters(e.unit.boardName(), e.unit.hyperparameters())
	e.writer.Text("unit", done, fmt.Sprintf("**%s**\n\n`%s`", e.unit.Label, e.unit.ID))
}

func (e *events) step(r train.Result) {
	if e == nil {
		return
	}
	e.writer.Scalar("train/loss", r.Step+1, r.Loss)
	e.writer.Scalar("train/learning_rate", r.Step+1, r.Rate)
	e.writer.Scalar("train/grad_norm", r.Step+1, r.GradNorm)
}

func (e *events) epoch(step int, x eval.Epoch) {
	if e == nil {
		return
	}
	e.writer.Scalar("epoch/loss", step, x.Loss)
	e.writer.Scalar("held_out/accuracy", step, x.HeldOut.Accuracy)
	e.writer.Scalar("held_out/hits5", step, x.HeldOut.Hits5)
	e.writer.Scalar("held_out/mrr", step, x.HeldOut.MRR)
}

// end closes the file. What could not be shown is no reason to lose the unit.
func (e *events) end() {
	if e == nil {
		return
	}
	if err := e.writer.Close(); err != nil {
		e.note(err.Error())
	}
	e.writer = nil
}

// boardName is a unit's folder on a board: its label, as far as file systems take it, and the start of its hash.
func (u *Unit) boardName() string {
	_, hash, _ := strings.Cut(u.ID, "-")
	return board.FolderName(u.Label) + "." + hash[:min(6, len(hash))]
}

// hyperparameters are the unit's settings that a table can show: numbers, texts and short lists.
func (u *Unit) hyperparameters() map[string]any {
	values := map[string]any{"method": u.Method, "seed": u.Seed, "kind": string(u.Kind)}
	if u.Family != "" {
		values["family"], values["task"], values["turns"] = u.Family, u.Name(), u.Turns
	}
	for key, x := range u.Settings {
		switch x := x.(type) {
		case int, float64, bool, string:
			values[key] = x
		case []string, []int, []float64:
			values[key] = fmt.Sprint(x)
		}
	}
	return values
}

// keepEvents moves a finished unit's event files out of the work folder.
func (u *Unit) keepEvents() error {
	from := filepath.Join(u.Work, eventsFolder)
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	to := filepath.Join(filepath.Dir(filepath.Dir(u.Work)), eventsFolder, u.boardName())
	err := errors.Join(disk.RemoveAll(to), disk.MkdirAll(filepath.Dir(to)))
	if err == nil {
		err = os.Rename(from, to)
	}
	if err != nil {
		return fmt.Errorf("keeping the events of %q: %w", u.Label, err)
	}
	return nil
}

// runsFolder of an adapter holds event files for TensorBoard, where the hub and Python's trainers have them. They alone of an adapter
// differ from one time to the next.
const runsFolder = "runs"

// copyEvents puts the event files of a work folder into an adapter that is being made.
func copyEvents(work, adapter string) error {
	files, err := filepath.Glob(filepath.Join(escapeGlob(work), eventsFolder, "events.out.tfevents.*"))
	if err == nil && len(files) > 0 {
		err = disk.Mkdir(filepath.Join(adapter, runsFolder))
	}
	for _, file := range files {
		data, failed := os.ReadFile(file)
		if failed == nil && err == nil {
			failed = disk.WriteFile(filepath.Join(adapter, runsFolder, filepath.Base(file)), data)
		}
		err = errors.Join(err, failed)
	}
	return err
}

// escapeGlob makes a path match itself alone.
func escapeGlob(path string) string {
	var escaped []rune
	for _, r := range path {
		if r == '*' || r == '?' || r == '[' || r == '\\' && filepath.Separator != '\\' {
			escaped = append(escaped, '\\')
		}
		escaped = append(escaped, r)
	}
	return string(escaped)
}

// WriteBoard puts the report that was written on a board: its figures, and its tables as text.
func (e *Experiment) WriteBoard(s *eval.Study) error {
	dir := filepath.Join(e.Dir, eventsFolder, reportFolder)
	if err := disk.RemoveAll(dir); err != nil {
		return fmt.Errorf("writing events: %w", err)
	}
	var text strings.Builder
	if err := s.Text(&text); err != nil {
		return err
	}
	return board.Report(dir, text.String(), filepath.Join(e.ReportDir(), "figures"))
}
