package kernels

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSources: every C file of ours is part of the identity, and none of ONNX Runtime's.
func TestSources(t *testing.T) {
	var want []string
	for _, pattern := range []string{"*.c", "*.h"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, found...)
	}
	want = slices.DeleteFunc(want, func(name string) bool { return strings.HasPrefix(name, "onnxruntime_") })
	slices.Sort(want)
	entries, err := sources.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the identity covers %q, the folder has %q", got, want)
	}
}

// TestIdentity: it is there where the operators are.
func TestIdentity(t *testing.T) {
	if id := Identity(); (id == None) == Supported() || id == "" {
		t.Errorf("%q; supported: %v", id, Supported())
	}
	if why := Missing(); (why == "") != Supported() {
		t.Errorf("missing: %q; supported: %v", why, Supported())
	}
}
