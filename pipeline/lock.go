package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"metalora/pipeline/confined"
	"metalora/pipeline/fault"
	"metalora/pipeline/filelock"
)

// lock is a file that one process holds. The operating system takes it back when the process ends, however it ends, so a
// lock is never stale.
type lock struct{ file *os.File }

// lockedError says that another process holds a lock.
type lockedError struct{ holder string }

func (e lockedError) Error() string {
	if e.holder == "" {
		return "it runs in another process"
	}
	return "it runs in another process (" + e.holder + ")"
}

// patience covers the moment for which a glance at the lock ([held]) holds it.
const patience = 100 * time.Millisecond

// maxHolder is how much of a lock is read of who holds it.
const maxHolder = 256

// acquire takes the lock, or fails with a [lockedError].
func acquire(path string) (*lock, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(patience / 10) {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, fmt.Errorf("locking the unit: %w", err)
		}
		if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
			return nil, errors.Join(fault.Input(fmt.Errorf("locking the unit: %s is no regular file (remove it)", path)), file.Close())
		}
		err = filelock.Try(file, true)
		if err == nil && samePlace(file, path) {
			l := &lock{file}
			return l, l.sign()
		}
		holder := make([]byte, maxHolder)
		n, _ := file.ReadAt(holder, 0) // a name less
		file.Close()
		switch {
		case err == nil: // the holder before us removed the file as it finished
		case !errors.Is(err, filelock.ErrHeld):
			return nil, fmt.Errorf("locking the unit: %w", err)
		case time.Now().After(deadline):
			return nil, lockedError{strings.TrimSpace(string(holder[:n]))}
		}
	}
}

// sign writes who holds the lock into it, for people.
func (l *lock) sign() error {
	err := l.file.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(l.file, "%s process %d\n", hostName(), os.Getpid())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("signing the lock: %w", err), l.release())
	}
	return nil
}

func (l *lock) release() error { return l.file.Close() }

// held tells whether some process holds the lock.
func held(path string) bool {
	file, err := confined.Open(path) // which waits for nobody
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(filelock.Try(file, false), filelock.ErrHeld)
}

// samePlace tells whether the open file is still the one at path.
func samePlace(file *os.File, path string) bool {
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	here, err2 := file.Stat()
	return err == nil && err2 == nil && os.SameFile(there, here)
}
