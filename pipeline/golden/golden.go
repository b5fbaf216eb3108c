// Package golden compares what tests make with files that are kept, and writes these anew where the tests run with -update.
package golden

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Updating tells whether golden files are to be written anew.
func Updating() bool { return *update }

// Compare fails a test that makes another text than the file at path holds.
func Compare(t testing.TB, path, got string) {
	t.Helper()
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(got), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs from what %s makes (-want +got); with -run '%s' -update it is written anew:\n%s", path, t.Name(), t.Name(), diff)
	}
}
