package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	put := func(text string, fail error) error {
		return Replace(path, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return errors.Join(err, fail)
		})
	}
	if err := put("before", nil); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	if err := put("half of it", full); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	if got, _ := os.ReadFile(path); string(got) != "before" {
		t.Errorf("a write that failed left %q", got)
	}
	if err := put("after", nil); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "after" {
		t.Errorf("got %q", got)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%v are left", files)
	}
	if err := Replace(filepath.Join(dir, "none", "x"), func(io.Writer) error { return nil }); err == nil {
		t.Error("a folder that is missing was no error")
	}
}
