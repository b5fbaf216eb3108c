package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"metalora/pipeline/disk"
)

// hostName tells machines apart in names of temporary folders.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == ':' {
			return '_'
		}
		return r
	}, name)
}

// makeTemporary makes the folder that a unit is written into: nobody else uses that name, on any machine.
func (u *Unit) makeTemporary() (string, error) {
	// The random part only makes a name, so chance need not repeat.
	dir := fmt.Sprintf("%s.tmp-%s-%d-%08x", u.Work, hostName(), os.Getpid(), rand.Uint32())
	if err := disk.Mkdir(dir); err != nil {
		return "", fmt.Errorf("making the unit's folder: %w", err)
	}
	return dir, nil
}

// abandoned is the age at which a temporary folder of another machine counts as left behind.
const abandoned = 24 * time.Hour

// removeLeftovers removes what killed processes left of a unit. The caller holds the unit's lock, so nobody on this
// machine writes there; another machine may, where the file system keeps locks to itself.
func (u *Unit) removeLeftovers() error {
	entries, err := os.ReadDir(filepath.Dir(u.Work))
	if err != nil {
		return fmt.Errorf("looking for leftovers: %w", err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), u.ID+".tmp-") {
			continue
		}
		info, err := entry.Info()
		ours := strings.HasPrefix(entry.Name(), u.ID+".tmp-"+hostName()+"-")
		if ours || err == nil && time.Since(info.ModTime()) > abandoned {
			if err := disk.RemoveAll(filepath.Join(filepath.Dir(u.Work), entry.Name())); err != nil {
				return fmt.Errorf("removing a leftover: %w", err)
			}
		}
	}
	return nil
}

// errNotSealed says that a folder has no manifest: a unit that is being written has none yet, and earlier programs wrote none.
var errNotSealed = errors.New("there is no " + manifestFile)

// asSealed holds a finished unit's results against its manifest.
func asSealed(dir string) error {
	m, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return errNotSealed
	}
	if err != nil {
		return fmt.Errorf("%s beside it: %w", manifestFile, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if p := m.Files[ResultsFile].problem(root, ResultsFile); p != "" {
		return errors.New(p)
	}
	return nil
}

// seal makes a complete temporary folder the finished unit: it gets its manifest, everything in it reaches the disk, then its name changes.
// Where another copy of the unit finished first, that one stays and this one goes.
func (u *Unit) seal(temporary string) error {
	if err := writeManifest(temporary, nil); err != nil {
		return err
	}
	if err := disk.SyncTree(temporary); err != nil {
		return fmt.Errorf("writing the unit to disk: %w", err)
	}
	if err := disk.Rename(temporary, u.Dir); err != nil {
		if _, there := os.Stat(u.Dir); there == nil {
			return disk.RemoveAll(temporary)
		}
		return fmt.Errorf("naming the finished unit: %w", err)
	}
	return errors.Join(disk.SyncDir(filepath.Dir(u.Dir)), disk.SyncDir(filepath.Dir(u.Work)))
}
