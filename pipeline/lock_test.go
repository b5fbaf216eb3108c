package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), lockFile)
	if held(path) {
		t.Error("a lock that is not there is held")
	}
	first, err := acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if !held(path) {
		t.Error("the lock is not held")
	}
	var locked lockedError
	if _, err := acquire(path); !errors.As(err, &locked) || locked.holder == "" {
		t.Errorf("a second holder: %v", err)
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	if held(path) {
		t.Error("the lock is still held")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// TestGlancesDoNotLockOut: `status` looks at locks while units start.
func TestGlancesDoNotLockOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), lockFile)
	stop := make(chan struct{})
	var glances sync.WaitGroup
	glances.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				held(path)
				time.Sleep(time.Millisecond)
			}
		}
	})
	for range 20 {
		l, err := acquire(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.release(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	glances.Wait()
}

// TestOneHolder: many take and give back, and remove the file as a finished unit does; never two hold it.
func TestOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), lockFile)
	var all sync.WaitGroup
	var inside sync.Mutex
	for range 8 {
		all.Go(func() {
			for range 20 {
				l, err := acquire(path)
				var locked lockedError
				if errors.As(err, &locked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if !inside.TryLock() {
					t.Error("two hold the lock")
					return
				}
				time.Sleep(100 * time.Microsecond)
				inside.Unlock()
				if err := errors.Join(os.Remove(path), l.release()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
