package pipeline

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"metalora/eval"
)

// inFolder puts data into a folder as the one file of that name.
func inFolder(t *testing.T, name string, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// FuzzReadManifest: a manifest that is read is byte for byte what would be written, and none of its names is opened outside.
func FuzzReadManifest(f *testing.F) {
	good, err := manifest{Format: manifestFormat, Files: map[string]fileMark{"results.json": {3, "ab"}, "../x": {1, ""}}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":1,"files":{},"sum":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := inFolder(t, manifestFile, data)
		m, err := readManifest(dir)
		if err != nil {
			return
		}
		if again, err := m.encode(); err != nil || string(again) != string(data) {
			t.Errorf("%q passed", data)
		}
		problems, err := m.check(dir, "")
		if err != nil || len(problems) < len(m.Files) {
			t.Errorf("%d of %d files that are not there are missed, error %v", len(m.Files)-len(problems), len(m.Files), err)
		}
	})
}

// FuzzReadResult: results and metrics of a run's folder are read or refused, and what is read can be written again.
func FuzzReadResult(f *testing.F) {
	f.Add([]byte(`{"unit":"u","epochs":[{"epoch":1,"held_out":{"accuracy":0.5}}],"turns":[{"dialogue":1,"scores":[0.5,1e38]}]}`))
	f.Add([]byte("{\"step\":0,\"loss\":0.5}\n{\"epoch\":1,\"held_out\":{}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := readResult(inFolder(t, ResultsFile, data)); err == nil {
			if _, err := json.Marshal(r); err != nil {
				t.Errorf("results that were read cannot be written: %v", err)
			}
		}
		if steps, losses, err := readLosses(inFolder(t, MetricsFile, data), &Result{Steps: 1, Epochs: make([]eval.Epoch, 1)}); err == nil && len(steps) != len(losses) {
			t.Errorf("%d steps, %d losses", len(steps), len(losses))
		}
	})
}
