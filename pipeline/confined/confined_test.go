package confined

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a file with its folders.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Skipf("this file system has no links: %v", err)
	}
}

func TestFolder(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "model")
	write(t, filepath.Join(base, "secret"), "s")
	write(t, filepath.Join(dir, "config.json"), "{}")
	write(t, filepath.Join(dir, "sub", "part"), "p")
	link(t, "config.json", filepath.Join(dir, "inside"))
	link(t, "../config.json", filepath.Join(dir, "sub", "up"))
	link(t, "../secret", filepath.Join(dir, "outside"))
	link(t, filepath.Join(base, "secret"), filepath.Join(dir, "absolute"))
	link(t, "..", filepath.Join(dir, "parent"))
	link(t, "loop", filepath.Join(dir, "loop"))
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string]string{
		"config.json": "", "sub/part": "", "inside": "", "sub/up": "", "sub/../config.json": "",
		"outside": "leads out of its folder", "absolute": "leads out of its folder", "parent/secret": "leads out of its folder",
		"../secret": "leads out of the folder", "/etc/passwd": "leads out of the folder", "": "leads out of the folder",
		"sub/../../secret": "leads out of the folder", "sub": "not a regular file", "loop": "loop", "missing": "no such file", "a\x00b": "invalid",
	} {
		_, err := f.Read(name, 10)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", name, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: error %v, want one with %q", name, err, want)
		case f.Has(name) != (want == ""):
			t.Errorf("%q: Has says %v", name, f.Has(name))
		}
	}
	if _, err := f.Open("missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// TestHubCache follows the links of a hub's cache inside the part of one model, however its folder is named.
func TestHubCache(t *testing.T) {
	hub := t.TempDir()
	model := filepath.Join(hub, "models--someone--small")
	snapshot := filepath.Join(model, "snapshots", "0123abcd")
	write(t, filepath.Join(model, "blobs", "aa"), "weights")
	write(t, filepath.Join(hub, "models--someone--private", "blobs", "bb"), "secret")
	link(t, "../../blobs/aa", filepath.Join(snapshot, "model.safetensors"))
	link(t, "../../../blobs/aa", filepath.Join(snapshot, "onnx", "model.onnx"))
	link(t, "../../../models--someone--private/blobs/bb", filepath.Join(snapshot, "neighbour"))
	link(t, filepath.Join(model, "blobs", "aa"), filepath.Join(snapshot, "absolute"))
	shortcut := filepath.Join(t.TempDir(), "small")
	link(t, snapshot, shortcut)
	for _, c := range []struct{ dir, name, want string }{
		{snapshot, "model.safetensors", ""},
		{shortcut, "model.safetensors", ""},
		{snapshot, "onnx/model.onnx", ""},
		{filepath.Join(snapshot, "onnx"), "model.onnx", ""},
		{snapshot, "neighbour", "leads out of its folder"},
		{snapshot, "absolute", "leads out of its folder"},
		{snapshot, "../../blobs/aa", "leads out of the folder"},
		{filepath.Join(snapshot, "onnx"), "../model.safetensors", "leads out of the folder"},
	} {
		_, err := ReadIn(c.dir, c.name, 100)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s in %s: error %v, want %q", c.name, c.dir, err, c.want)
		}
		if HasIn(c.dir, c.name) != (c.want == "") {
			t.Errorf("%s in %s: HasIn differs", c.name, c.dir)
		}
	}
	f, err := OpenFolder(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, err := f.Names()
	if got, want := strings.Join(names, " "), "absolute model.safetensors neighbour onnx"; err != nil || got != want {
		t.Errorf("names %q, error %v, want %q", got, err, want)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	write(t, path, "0123456789")
	if data, err := Read(path, 10); string(data) != "0123456789" || err != nil {
		t.Errorf("read %q, %v", data, err)
	}
	if _, err := Read(path, 9); err == nil || !strings.Contains(err.Error(), "10 bytes, and at most 9") {
		t.Errorf("too large: %v", err)
	}
	holes := filepath.Join(dir, "holes")
	write(t, holes, "")
	if err := os.Truncate(holes, 1<<40); err != nil {
		t.Skipf("this file system has no holes: %v", err)
	}
	if _, err := Read(holes, 1<<20); err == nil {
		t.Error("a terabyte of holes was read")
	}
	if _, err := OpenFolder(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file as folder: %v", err)
	}
}
