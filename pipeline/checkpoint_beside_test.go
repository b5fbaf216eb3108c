package pipeline

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"metalora/pipeline/disk"
	"metalora/pipeline/disk/disktest"
	"metalora/pipeline/fault"
)

// slowDisk takes its time before a file can be written.
type slowDisk struct{ *disktest.Disk }

func (s slowDisk) Create(path string) (disk.File, error) {
	if filepath.Base(path) == tensorsFile {
		time.Sleep(30 * time.Millisecond) // several steps of the model
	}
	return s.Disk.Create(path)
}

// TestCheckpointBeside: a checkpoint that is written while training goes on holds the state after its own step, however slow the
// disk is, for methods whose inner loop moves weights too.
func TestCheckpointBeside(t *testing.T) {
	for _, unit := range []int{1, 8, 9} { // sr, reptile, fomaml
		quick, ex := everyRun(t, "checkpoint.steps=1", "checkpoint.keep=9")
		slow, err := Open(quick.Config, filepath.Join(t.TempDir(), "run"))
		if err != nil {
			t.Fatal(err)
		}
		stopAfter(t, quick, ex, &quick.Units[unit], 3)
		d, err := disktest.New(filepath.Dir(slow.Dir), disktest.None, 0)
		if err != nil {
			t.Fatal(err)
		}
		restore := disk.Use(slowDisk{d})
		stopAfter(t, slow, ex, &slow.Units[unit], 3)
		restore()
		c := checkpoints{dir: filepath.Join(slow.Units[unit].Work, checkpointsFolder)}
		names, err := c.list()
		if err != nil || len(names) != 3 {
			t.Fatalf("%s: checkpoints %q, %v", slow.Units[unit].Label, names, err)
		}
		for _, name := range names {
			sameFiles(t, filepath.Join(quick.Units[unit].Work, checkpointsFolder, name), filepath.Join(c.dir, name))
		}
	}
}

// fullDisk takes its time and then has no room.
type fullDisk struct{ *disktest.Disk }

func (f fullDisk) Create(path string) (disk.File, error) {
	if filepath.Base(path) == tensorsFile {
		time.Sleep(30 * time.Millisecond)
		return nil, &fs.PathError{Op: "create", Path: path, Err: syscall.ENOSPC}
	}
	return f.Disk.Create(path)
}

// TestCheckpointFailsBeside: where a checkpoint fails while training goes on, none is begun after it.
func TestCheckpointFailsBeside(t *testing.T) {
	e, ex := everyRun(t, "checkpoint.steps=1")
	d, err := disktest.New(filepath.Dir(e.Dir), disktest.None, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{}
	restore := disk.Use(fullDisk{d})
	err = e.RunUnit(t.Context(), ex, &e.Units[1], w)
	restore()
	if !errors.Is(err, syscall.ENOSPC) || fault.Code(err) != fault.CodeFailed || w.checkpoints != 1 {
		t.Errorf("%d checkpoints were begun, then: %v", w.checkpoints, err)
	}
}
