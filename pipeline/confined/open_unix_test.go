//go:build unix

package confined

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPipe opens what would make a reader wait for ever.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skipf("this file system has no pipes: %v", err)
	}
	done := make(chan error, 4)
	go func() {
		_, err := Open(pipe)
		done <- err
		_, err = ReadIn(dir, "pipe", 100)
		done <- err
		_, err = OpenFolder(pipe)
		done <- err
		_, err = Open("/dev/zero")
		done <- err
	}()
	for i := range 4 {
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "not a") {
				t.Errorf("%d: error %v", i, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("opening waits")
		}
	}
}
