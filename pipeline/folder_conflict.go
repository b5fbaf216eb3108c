package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"metalora/pipeline/confined"
	"metalora/pipeline/fault"
)

// unitRecord is what a finished unit says of itself.
type unitRecord struct {
	ID       string         `json:"id"`
	Kind     Kind           `json:"kind"`
	Label    string         `json:"label"`
	Settings map[string]any `json:"settings"` // what the hash in the ID covers
}

// conflict refuses a folder with a finished unit that the plan has no place for because the two differ in a setting that
// all units of its kind share. A unit that is merely not asked for any more is none of the plan's business.
func (e *Experiment) conflict() error {
	ids, err := e.finished()
	if err != nil {
		return err
	}
	planned := map[string]bool{}
	for i := range e.Units {
		planned[e.Units[i].ID] = true
	}
	for _, id := range ids {
		if planned[id] {
			continue
		}
		path := filepath.Join(e.Dir, unitsFolder, id, unitFile)
		data, err := confined.ReadIn(filepath.Dir(path), unitFile, maxNote)
		var old unitRecord
		if err == nil {
			err = confined.CheckJSON(data, maxNoteEntries)
		}
		if err == nil {
			err = json.Unmarshal(data, &old)
		}
		if err != nil {
			return fault.Input(fmt.Errorf("reading %s: %w (a unit of no experiment that is known here: move it away)", path, err))
		}
		if changes := e.changes(&old); len(changes) > 0 {
			return fault.Usage(fmt.Errorf("%s holds another experiment: its finished unit %.200q (%s) was made with other settings:\n  %s\n(choose another folder with --out, or set the old values)",
				e.Dir, old.Label, id, strings.Join(changes, "\n  ")))
		}
	}
	return nil
}

// mostChanges are shown: no experiment has more settings, but a stranger's unit may.
const mostChanges = 100

// changes lists what an old unit's shared settings differ in from those of the planned unit most like it.
func (e *Experiment) changes(old *unitRecord) []string {
	var twin *Unit
	for i := range e.Units {
		u := &e.Units[i]
		if u.Kind == old.Kind && (twin == nil || u.Label == old.Label) {
			twin = u
		}
	}
	if twin == nil {
		return nil
	}
	var changes []string
	for _, key := range slices.Sorted(maps.Keys(old.Settings)) {
		now, ok := twin.Settings[key]
		if identity[key] || !ok && twin.Label != old.Label {
			continue
		}
		before, after := show(old.Settings[key]), show(now)
		if before != after {
			changes = append(changes, fmt.Sprintf("%.100s: %.500s there, %.500s now", key, before, after))
		}
		if len(changes) == mostChanges {
			return append(changes, "…")
		}
	}
	return changes
}

// show writes a setting so that equal values look equal, whether they come from a file or a plan.
func show(v any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	text := strings.TrimSpace(out.String())
	if v == nil {
		return "nothing"
	}
	if s, ok := v.(string); ok && len(s) == 64 {
		return "content " + s[:12] + "…"
	}
	return text
}
