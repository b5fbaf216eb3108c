package pipeline

import (
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

// placement says what came of a tuning. It lies beside the adapter's place from just before the adapter gets its name until nothing else
// is left of the tuning, so that the same command, run again after it was killed in between, finds its own adapter.
type placement struct {
	Unit   string      `json:"unit"`    // the tuning's
	Sum    string      `json:"adapter"` // of the adapter's manifest
	Result *TuneResult `json:"result"`
}

// work is the folder of a tuning under way, and placedFile where its placement lies.
func (t *tuning) work() string       { return filepath.Clean(t.AdapterOut) + ".unfinished" }
func (t *tuning) placedFile() string { return t.work() + ".json" }

// free refuses to write an adapter over something that is there.
func free(dir string) error {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fault.Usage(fmt.Errorf("writing the adapter: %w", err))
	}
	return fault.Usage(fmt.Errorf("writing the adapter: %s is there and not empty; name another folder", dir))
}

// alone does something while no other process tunes into the same place.
func (t *tuning) alone(do func() (*TuneResult, error)) (*TuneResult, error) {
	if err := t.unit.withoutLinks(); err != nil {
		return nil, err
	}
	if err := disk.MkdirAll(t.work()); err != nil {
		return nil, fmt.Errorf("making the folder of the tuning: %w", err)
	}
	held, err := acquire(filepath.Join(t.work(), lockFile))
	if err != nil {
		return nil, fmt.Errorf("tuning %s: %w", t.AdapterOut, err)
	}
	r, err := do()
	return r, errors.Join(err, held.release())
}

// place makes what was trained the adapter, whole or not at all, and clears up.
func (t *tuning) place(made string, r *TuneResult) error {
	err := copyEvents(t.work(), made)
	if err == nil {
		err = writeManifest(made, nil)
	}
	if err == nil {
		err = disk.SyncTree(made)
	}
	if err == nil {
		err = t.announce(made, r)
	}
	if err == nil {
		err = disk.Remove(t.AdapterOut) // an empty folder may be there
	}
	if err == nil {
		err = disk.Rename(made, t.AdapterOut)
	}
	if err == nil {
		err = disk.SyncDir(filepath.Dir(filepath.Clean(t.AdapterOut)))
	}
	if err == nil {
		err = t.clear()
	}
	return err
}

// announce writes the placement of an adapter that is about to get its name.
func (t *tuning) announce(made string, r *TuneResult) error {
	m, err := readManifest(made)
	if err != nil {
		return err
	}
	written := filepath.Join(t.work(), "placed.json")
	if err := writeJSON(written, placement{t.unit.ID, m.Sum, r}); err != nil {
		return err
	}
	return errors.Join(disk.Rename(written, t.placedFile()), disk.SyncDir(filepath.Dir(t.placedFile())))
}

// clear removes what is left of a tuning whose adapter is in its place, what tells of it last. Another process that wants the same
// place may put its lock into the folder meanwhile: it clears up when it finds the adapter.
func (t *tuning) clear() error {
	if err := disk.RemoveAll(t.work()); err != nil && !errors.Is(err, fs.ErrExist) { // not empty
		return err
	}
	return disk.Remove(t.placedFile())
}

// leaveNothing removes a work folder that holds no more than the lock.
func (t *tuning) leaveNothing() error {
	if entries, err := os.ReadDir(t.work()); err != nil || len(entries) > 1 {
		return err
	}
	return disk.RemoveAll(t.work())
}

// earlier is what came of this very tuning, where a process ended after it had placed the adapter and before it had cleared up, which is
// done now. It is nil where the adapter's place is free; whatever else lies there is an error.
func (t *tuning) earlier() (*TuneResult, error) {
	taken := free(t.AdapterOut)
	if taken == nil || !exists(t.placedFile()) {
		return nil, taken
	}
	if err := t.identify(); err != nil {
		return nil, err
	}
	return t.alone(func() (*TuneResult, error) {
		p, err := t.placement()
		if err != nil {
			return nil, fmt.Errorf("reading what an earlier tuning left: %w", err)
		}
		if m, err := readManifest(t.AdapterOut); err != nil || m.Sum != p.Sum {
			return nil, errors.Join(taken, t.leaveNothing()) // something else came into its place
		}
		if err := t.clear(); err != nil {
			return nil, fmt.Errorf("clearing up after an earlier tuning: %w", err)
		}
		if p.Unit != t.unit.ID || p.Result == nil {
			return nil, taken
		}
		if err := intact(t.AdapterOut); err != nil {
			return nil, fault.Input(fmt.Errorf("reading the adapter of an earlier tuning: %w", err))
		}
		p.Result.Adapter = t.AdapterOut
		t.progress.Note(t.AdapterOut + " was made by an earlier run of this command, which ended before it had cleared up")
		return p.Result, nil
	})
}

// placement reads what a tuning left.
func (t *tuning) placement() (placement, error) {
	var p placement
	data, err := confined.ReadIn(filepath.Dir(t.placedFile()), filepath.Base(t.placedFile()), maxRecord)
	if err == nil {
		err = confined.CheckJSON(data, maxRecordEntries)
	}
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	return p, err
}
