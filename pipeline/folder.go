package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
	"metalora/pipeline/fault"
)

// Names inside a run's folder.
const (
	experimentFile = "experiment.yaml"
	unitsFolder    = "units"
	workFolder     = "work"
	reportFolder   = "report"

	ResultsFile    = "results.json"    // of a finished unit: deterministic
	MetricsFile    = "metrics.jsonl"   // of a finished unit: deterministic
	ProvenanceFile = "provenance.json" // of a finished unit: where and when, excluded from every comparison
	unitFile       = "unit.json"       // of a finished unit: what its hash covers
	failureFile    = "failure.json"    // of a failed unit, in its work folder
	attemptsFile   = "attempts.jsonl"  // in the work folder: a line each time the unit was begun or stopped
	lockFile       = "lock"            // in the work folder: held while the unit runs
)

// Bounds of what is read of a run's folder, which may be a stranger's. Results of a thousand turns among 20 candidates have some 500 KB and
// 25,000 entries, so there is room for 100,000 turns, as many as ConvAI2's training file has nearly; of one persona the largest have hundreds.
const (
	maxRecord        = 48 << 20
	maxRecordEntries = 4_000_000
	maxNote          = 4 << 20
	maxNoteEntries   = 40_000
)

// Experiment is a configuration and the folder that keeps its units.
type Experiment struct {
	Config *Config
	Inputs *Inputs
	Units  []Unit
	Dir    string
	Source string // the configuration as a command names it: file and overrides
}

// Open plans the experiment in a folder, which need not exist: nothing is written. A folder that holds finished units
// of another configuration is refused with what differs.
func Open(c *Config, dir string) (*Experiment, error) {
	in, err := ReadInputs(c)
	if err != nil {
		return nil, err
	}
	units, err := Plan(c, in)
	if err != nil {
		return nil, err
	}
	if err := c.checkRanks(); err != nil {
		return nil, err
	}
	e := &Experiment{Config: c, Inputs: in, Units: units, Dir: dir, Source: c.source()}
	for i := range units {
		u := &units[i]
		u.Dir, u.Work = filepath.Join(dir, unitsFolder, u.ID), filepath.Join(dir, workFolder, u.ID)
		for _, id := range u.Needs {
			u.NeedDirs = append(u.NeedDirs, filepath.Join(dir, unitsFolder, id))
		}
	}
	if err := e.withoutLinks(); err != nil {
		return nil, err
	}
	return e, e.conflict()
}

// withoutLinks refuses a run's folder, which somebody else may have made, with a link in place of a folder that is read or written there.
// What lies in the units' own folders is looked at where it is used.
func (e *Experiment) withoutLinks() error {
	var paths []string
	for _, name := range []string{unitsFolder, workFolder, reportFolder, filepath.Join(reportFolder, "figures"), eventsFolder, filepath.Join(eventsFolder, reportFolder)} {
		paths = append(paths, filepath.Join(e.Dir, name))
	}
	if err := confined.NoLink(paths...); err != nil {
		return fault.Input(fmt.Errorf("opening the run's folder: %w (put what it stands for in its place, or choose another folder with --out)", err))
	}
	return nil
}

// ReportDir is where the report goes.
func (e *Experiment) ReportDir() string { return filepath.Join(e.Dir, reportFolder) }

// Unit returns the unit of that ID, or nil.
func (e *Experiment) Unit(id string) *Unit {
	for i := range e.Units {
		if e.Units[i].ID == id {
			return &e.Units[i]
		}
	}
	return nil
}

// prepare makes the folder and writes the configuration into it, where it is not there already.
func (e *Experiment) prepare() error {
	for _, name := range []string{unitsFolder, workFolder} {
		if err := disk.MkdirAll(filepath.Join(e.Dir, name)); err != nil {
			return fmt.Errorf("making the run's folder: %w", err)
		}
	}
	var now bytes.Buffer
	if err := e.Config.Write(&now); err != nil {
		return err
	}
	path := filepath.Join(e.Dir, experimentFile)
	if before, err := confined.ReadIn(e.Dir, experimentFile, maxNote); err == nil && bytes.Equal(before, now.Bytes()) {
		return nil
	}
	return disk.WriteFile(path, now.Bytes())
}

// State is how far a unit is.
type State string

// The states of a unit. A failed unit is tried again by the next run.
const (
	Todo    State = "todo"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// State reads the folder. A finished unit whose results cannot be read is an error that names the file.
func (e *Experiment) State(u *Unit) (State, error) {
	if _, err := os.Lstat(u.Dir); err == nil {
		return Done, checkResults(u.Dir)
	}
	if _, err := os.Lstat(u.Work); err != nil {
		return Todo, nil
	}
	if err := u.withoutLinks(); err != nil {
		return "", err
	}
	if held(filepath.Join(u.Work, lockFile)) {
		return Running, nil
	}
	if _, err := os.Stat(filepath.Join(u.Work, failureFile)); err == nil {
		return Failed, nil
	}
	return Todo, nil
}

// States is [Experiment.State] of every unit, in order.
func (e *Experiment) States() ([]State, error) {
	states := make([]State, len(e.Units))
	for i := range e.Units {
		var err error
		if states[i], err = e.State(&e.Units[i]); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// checkResults tells whether a unit's results are there and whole. What is sealed was read before it was: its sum says that it
// still is as it was, and reading 50 KB of each of thousands of units anew would take most of a status.
func checkResults(dir string) error {
	err := confined.NoLink(dir)
	if err == nil {
		err = asSealed(dir)
	}
	if errors.Is(err, errNotSealed) {
		var data []byte
		if data, err = confined.ReadIn(dir, ResultsFile, maxRecord); err == nil {
			err = confined.CheckJSON(data, maxRecordEntries)
		}
		if err == nil && !json.Valid(data) {
			err = errors.New("it is no JSON")
		}
	}
	if err != nil {
		return fault.Input(fmt.Errorf("reading %s: %w (remove the folder %s to compute the unit again)", filepath.Join(dir, ResultsFile), err, dir))
	}
	return nil
}

// Failure is why a unit failed last.
type Failure struct {
	Error string `json:"error"`
	Code  int    `json:"code"` // the exit code it ended with
	Host  string `json:"host"`
	Time  string `json:"time"`
}

// Failure reads why a failed unit failed; nil where it did not.
func (e *Experiment) Failure(u *Unit) *Failure {
	data, err := confined.ReadIn(u.Work, failureFile, maxNote)
	if err != nil {
		return nil
	}
	f := &Failure{}
	if confined.CheckJSON(data, maxNoteEntries) != nil || json.Unmarshal(data, f) != nil {
		f.Error = "the note of the failure cannot be read"
	}
	return f
}

// writeJSON writes a value as an indented JSON file.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return disk.WriteFile(path, append(data, '\n'))
}

// finished lists the IDs of the finished units in the folder, whichever configuration they are of.
func (e *Experiment) finished() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(e.Dir, unitsFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the run's folder: %w", err)
	}
	var ids []string
	for _, entry := range entries {
		if entry.IsDir() { // and no link
			ids = append(ids, entry.Name())
		}
	}
	return ids, nil
}
