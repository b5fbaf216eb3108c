// Package disk writes what must outlive a crash.
//
// A file system promises less than it seems to. What is written lies in memory until the file is synced, a new name until its
// folder is, and a process may end between any two calls. So whatever a run keeps goes through the few calls of [System]: names
// change by renaming what is complete and synced, and tests put a System in place of the real one that fails, ends the process,
// cuts the power or fills up at any chosen call (package disktest).
package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// System is what writing asks of a file system.
type System interface {
	Create(path string) (File, error) // a file that must not be there yet
	Mkdir(path string) error
	Rename(from, to string) error
	Remove(path string) error  // a file or an empty folder
	Sync(path string) error    // makes what is in a file durable
	SyncDir(path string) error // makes the names in a folder durable
}

// File is a file that is being written.
type File interface {
	io.WriteCloser
	Sync() error // makes what was written durable; the file's name takes [System.SyncDir]
}

var system System = local{}

// Use puts another system in place of the operating system's until restore is called. It is for tests, which then must not
// run in parallel.
func Use(s System) (restore func()) {
	before := system
	system = s
	return func() { system = before }
}

// local is the operating system's.
type local struct{}

func (local) Create(path string) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

func (local) Mkdir(path string) error      { return os.Mkdir(path, 0o777) }
func (local) Rename(from, to string) error { return os.Rename(from, to) }
func (local) Remove(path string) error     { return os.Remove(path) }

func (local) Sync(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0) // Windows syncs what may be written only
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// SyncDir does nothing on Windows, which has no such call and needs none.
func (local) SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Create makes a file that must not be there yet.
func Create(path string) (File, error) { return system.Create(path) }

// Mkdir makes a folder that must not be there yet. Its name is not durable.
func Mkdir(path string) error { return system.Mkdir(path) }

// Rename gives a file or folder another name, in place of a file that has it. Neither name's change is durable.
func Rename(from, to string) error { return system.Rename(from, to) }

// SyncDir makes the names in a folder durable.
func SyncDir(path string) error { return system.SyncDir(path) }

// MkdirAll makes a folder and those above it that are missing, and the new names durable.
func MkdirAll(path string) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: path, Err: errors.New("a file is in its place")}
		}
		return nil
	}
	above := filepath.Dir(path)
	if above != path {
		if err := MkdirAll(above); err != nil {
			return err
		}
	}
	if err := system.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) { // another process may be quicker
		return err
	}
	return system.SyncDir(above)
}

// Remove removes a file, or says nothing where there is none.
func Remove(path string) error {
	if err := system.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveAll removes a folder and what it holds, one after another: a crash in between leaves a part of it.
func RemoveAll(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if err := RemoveAll(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	return Remove(path)
}

// SyncTree makes every file and folder from dir down durable, dir's own name apart.
func SyncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return system.SyncDir(path)
		}
		return system.Sync(path)
	})
}
