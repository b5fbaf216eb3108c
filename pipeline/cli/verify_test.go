package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline"
	"metalora/pipeline/fault"
)

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	unit := filepath.Join(dir, "units", "adapt-0123456789ab")
	if err := os.MkdirAll(unit, 0o777); err != nil {
		t.Fatal(err)
	}
	var out, errors bytes.Buffer
	if code := Run(t.Context(), []string{"verify", dir, "--json"}, nil, &out, &errors); code != fault.CodeInput {
		t.Errorf("exit %d, want %d: %s", code, fault.CodeInput, &errors)
	}
	var got []pipeline.Problem
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	want := []pipeline.Problem{{File: "units/adapt-0123456789ab/manifest.json", Problem: "it is missing"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(unit); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if code := Run(t.Context(), []string{"verify", dir, "--json"}, nil, &out, &errors); code != fault.CodeDone || out.String() != "[]\n" {
		t.Errorf("exit %d, %q", code, &out)
	}
}
