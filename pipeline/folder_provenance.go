package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
)

// Provenance is where, when and by what a unit was computed. No comparison of results reads it.
type Provenance struct {
	Host          string         `json:"host"`
	System        string         `json:"system"` // operating system and architecture
	Go            string         `json:"go"`
	Build         string         `json:"build"` // revision of the program, where it was built from a repository
	CPUs          int            `json:"cpus"`
	Threads       int            `json:"threads"` // as configured; 0 means as many as there are
	Started       time.Time      `json:"started"` // the last time the unit was begun
	Finished      time.Time      `json:"finished"`
	Seconds       float64        `json:"seconds"`              // over all attempts that ended in order
	Interruptions int            `json:"interruptions"`        // how often the unit had been begun before
	PeakBytes     int64          `json:"peak_bytes,omitempty"` // most memory of the process while the unit ran; outside of Linux, since the process began
	Engine        map[string]any `json:"engine,omitempty"`     // what the executor says of itself
	Elsewhere     []string       `json:"elsewhere,omitempty"`  // what differed when it went on from a checkpoint of another environment
}

// Describer is an executor that has something to say for the provenance: library version, kind of CPU.
type Describer interface{ Describe() map[string]any }

// provenance describes the unit that has just been computed.
func (e *Experiment) provenance(u *Unit, ex Executor, started time.Time) Provenance {
	begun, before, elsewhere := u.attempts()
	p := Provenance{
		Host: hostName(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Build: revision(),
		CPUs: runtime.NumCPU(), Threads: e.Config.Threads, Started: started, Finished: time.Now(),
		Seconds: before + time.Since(started).Seconds(), Interruptions: max(0, begun-1), PeakBytes: peakBytes(),
		Elsewhere: elsewhere,
	}
	if d, ok := ex.(Describer); ok {
		p.Engine = d.Describe()
	}
	return p
}

// An attempt is a line of the work folder's list: when a unit was begun, and how long that lasted where it ended in order.
type attempt struct {
	Begun   time.Time `json:"begun"`
	Host    string    `json:"host"`
	Seconds float64   `json:"seconds,omitempty"`

	Elsewhere string `json:"elsewhere,omitempty"` // no attempt: one went on from a checkpoint of another environment
}

// note adds a line to the unit's list of attempts. The list is written anew each time, so that no line is cut off.
func (u *Unit) note(a attempt) error {
	path := filepath.Join(u.Work, attemptsFile)
	line, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("noting an attempt: %w", err)
	}
	before, err := confined.ReadIn(u.Work, attemptsFile, maxNote)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("noting an attempt: %w", err)
	}
	if err := disk.WriteFile(path, slices.Concat(before, line, []byte("\n"))); err != nil {
		return fmt.Errorf("noting an attempt: %w", err)
	}
	return nil
}

// attempts sums up the list: how often the unit was begun, and the seconds of the attempts that ended in order. A line
// that cannot be read does not count.
func (u *Unit) attempts() (begun int, seconds float64, elsewhere []string) {
	data, err := confined.ReadIn(u.Work, attemptsFile, maxNote)
	if err != nil {
		return 0, 0, nil
	}
	for line := range strings.Lines(string(data)) {
		var a attempt
		if json.Unmarshal([]byte(line), &a) != nil {
			continue
		}
		if a.Elsewhere != "" {
			elsewhere = append(elsewhere, a.Elsewhere)
			continue
		}
		if a.Seconds == 0 {
			begun++
		}
		seconds += a.Seconds
	}
	return begun, seconds, elsewhere
}

// Provenance reads a finished unit's; the zero value where there is none that can be.
func (e *Experiment) Provenance(u *Unit) Provenance {
	p, err := readProvenance(u.Dir)
	if err != nil {
		return Provenance{}
	}
	return p
}

// readProvenance reads where and when a unit was computed. Numbers that cannot be are an error: they would be summed up.
func readProvenance(dir string) (p Provenance, err error) {
	data, err := confined.ReadIn(dir, ProvenanceFile, maxNote)
	if err == nil {
		err = confined.CheckJSON(data, maxNoteEntries)
	}
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err == nil && !(p.Seconds >= 0 && p.Seconds < mostCount && p.PeakBytes >= 0 && p.PeakBytes < mostCount && p.CPUs >= 0 && p.Interruptions >= 0) {
		err = fmt.Errorf("%g seconds, %d bytes, %d CPUs, %d interruptions", p.Seconds, p.PeakBytes, p.CPUs, p.Interruptions)
	}
	return p, err
}

// Seconds is how long a finished unit took, over all attempts that ended in order; 0 where that is not known.
func (e *Experiment) Seconds(u *Unit) float64 { return e.Provenance(u).Seconds }

// Environment describes where the finished units were computed, a line for each kind of place.
func (e *Experiment) Environment() []string {
	count, mixed := map[string]int{}, 0
	for i := range e.Units {
		p := e.Provenance(&e.Units[i])
		if p.Host == "" {
			continue
		}
		place := fmt.Sprintf("%s, %s, %d CPUs, %s", p.Host, p.System, p.CPUs, p.Go)
		for _, key := range slices.Sorted(maps.Keys(p.Engine)) {
			place += fmt.Sprintf(", %s %v", key, p.Engine[key])
		}
		count[fmt.Sprintf("%.500s", place)]++ // a stranger may have named it
		if len(p.Elsewhere) > 0 {
			mixed++
		}
	}
	var lines []string
	if mixed > 0 {
		lines = append(lines, fmt.Sprintf("%d units went on from a checkpoint of another kind of CPU, engine or kernels: their last bits may be others.", mixed))
	}
	for _, place := range slices.Sorted(maps.Keys(count)) {
		lines = append(lines, fmt.Sprintf("%d units on %s.", count[place], place))
	}
	return lines
}

// revision is the commit that the program was built from.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
