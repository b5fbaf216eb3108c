package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDamagedCheckpoint: wherever a byte of the newest checkpoint is flipped, its file is named and the one before is used;
// only the newest two are kept.
func TestDamagedCheckpoint(t *testing.T) {
	calm, ex := everyRun(t)
	if err := calm.RunUnit(t.Context(), ex, &calm.Units[1], Quiet{}); err != nil {
		t.Fatal(err)
	}
	e, _ := everyRun(t)
	u := &e.Units[1]
	for range 3 {
		stopAfter(t, e, ex, u, 1)
	}
	p := &stopper{}
	c := newCheckpoints(e.Config, u, p)
	names, err := c.list()
	if err != nil || len(names) != 2 {
		t.Fatalf("checkpoints %q, %v", names, err)
	}
	newest := filepath.Join(c.dir, names[0])
	m, err := readManifest(newest)
	if err != nil {
		t.Fatal(err)
	}
	c.environment = m.Environment
	for _, name := range []string{tensorsFile, stateFile, MetricsFile, manifestFile} {
		for at := 0.0; at < 1; at += 0.0499 {
			p.notes = nil
			flip(t, filepath.Join(newest, name), at)
			s, err := c.newest()
			if err != nil || s.Run.Done != 2 || len(p.notes) != 1 || !strings.Contains(p.notes[0], filepath.Join(newest, name)) {
				t.Fatalf("%s flipped at %v: %v, notes %q", name, at, err, p.notes)
			}
			if err := os.Rename(newest+damagedSuffix, newest); err != nil {
				t.Fatal(err)
			}
			flip(t, filepath.Join(newest, name), at)
		}
	}
	for _, name := range []string{tensorsFile, stateFile, MetricsFile, manifestFile} {
		lose(t, c, p, newest, name)
	}
	flip(t, filepath.Join(newest, tensorsFile), 0.7)
	if err := e.RunUnit(t.Context(), ex, u, p); err != nil {
		t.Fatal(err)
	}
	if last := p.from[len(p.from)-1]; last != 2 {
		t.Errorf("went on from step %d, want 2", last)
	}
	sameFiles(t, calm.Units[1].Dir, u.Dir)
}

// lose leaves of a file of the newest checkpoint what a crash may leave: nothing, an empty file, half of it. Each time the
// file is named and the checkpoint before is used.
func lose(t *testing.T, c *checkpoints, p *stopper, newest, name string) {
	t.Helper()
	path := filepath.Join(newest, name)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []int{-1, 0, len(whole) / 2} {
		p.notes = nil
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if left >= 0 {
			write(t, path, string(whole[:left]))
		}
		s, err := c.newest()
		if err != nil || s == nil || s.Run.Done != 2 || len(p.notes) != 1 || !strings.Contains(p.notes[0], path) {
			t.Fatalf("%s with %d bytes left: %v, notes %q", name, left, err, p.notes)
		}
		if err := os.Rename(newest+damagedSuffix, newest); err != nil {
			t.Fatal(err)
		}
		write(t, path, string(whole))
	}
}

// flip changes one bit of a file, at a part of its length.
func flip(t *testing.T, path string, at float64) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	data[int(at*float64(len(data)))] ^= 1
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
