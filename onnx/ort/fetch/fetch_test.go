package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"metalora/onnx/ort/library"
)

const content = "a library, in a manner of speaking"

// packed writes an archive of the entries and returns its path and the pack that it is.
func packed(t *testing.T, entries ...tar.Header) (string, pack) {
	t.Helper()
	var data bytes.Buffer
	z := gzip.NewWriter(&data)
	w := tar.NewWriter(z)
	for _, e := range entries {
		e.Mode = 0o777
		if e.Typeflag == tar.TypeReg {
			e.Size = int64(len(content))
		}
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		if e.Typeflag == tar.TypeReg {
			w.Write([]byte(content))
		}
	}
	w.Close()
	z.Close()
	path := filepath.Join(t.TempDir(), "pack.tgz")
	if err := os.WriteFile(path, data.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	whole, one := sha512.Sum512(data.Bytes()), sha256.Sum256([]byte(content))
	return path, pack{
		spec:   "pack@1",
		sha512: base64.StdEncoding.EncodeToString(whole[:]),
		files:  map[string]file{"os/cpu": {"package/lib.so", hex.EncodeToString(one[:]), int64(len(content))}},
	}
}

var regular = tar.Header{Name: "package/lib.so", Typeflag: tar.TypeReg}

func TestInstall(t *testing.T) {
	t.Setenv("PATH", "") // no npm
	archive, p := packed(t, tar.Header{Name: "package/", Typeflag: tar.TypeDir}, tar.Header{Name: "package/other", Typeflag: tar.TypeReg}, regular)
	path := filepath.Join(t.TempDir(), "deep", "er", "lib.so")
	for _, step := range []struct{ name, archive string }{{"from an archive", archive}, {"there already", ""}} {
		if err := p.install(context.Background(), step.archive, "os/cpu", path); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if data, _ := os.ReadFile(path); string(data) != content {
			t.Errorf("%s: the library is %q", step.name, data)
		}
	}
	if err := os.WriteFile(path, []byte("spoilt"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.install(context.Background(), archive, "os/cpu", path); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); string(data) != content {
		t.Errorf("a spoilt library was left as it was: %q", data)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the library's rights are %v, %v", info.Mode(), err)
	}
}

func TestInstallErrors(t *testing.T) {
	t.Setenv("PATH", "") // no npm
	for _, c := range []struct {
		name     string
		entries  []tar.Header
		spoil    func(archive *string, platform *string, p *pack)
		contains string
	}{
		{"platform", nil, func(_, platform *string, _ *pack) { *platform = "plan9/mips" }, "no library for plan9/mips, only for os/cpu"},
		{"no npm", nil, func(archive, _ *string, _ *pack) { *archive = "" }, "npm is needed"},
		{"archive's hash", []tar.Header{regular}, func(_, _ *string, p *pack) { p.sha512 = "other" }, "SHA-512 is "},
		{"library's hash", []tar.Header{regular}, func(_, _ *string, p *pack) {
			f := p.files["os/cpu"]
			f.sha256 = "other"
			p.files["os/cpu"] = f
		}, "SHA-256 is "},
		{"absent", []tar.Header{{Name: "package/other", Typeflag: tar.TypeReg}}, nil, "does not hold it"},
		{"a link", []tar.Header{{Name: "package/lib.so", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}, nil, "not a file of"},
		{"no archive", nil, func(archive, _ *string, _ *pack) { *archive += ".none" }, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			archive, p := packed(t, c.entries...)
			platform := "os/cpu"
			if c.spoil != nil {
				c.spoil(&archive, &platform, &p)
			}
			folder := t.TempDir()
			err := p.install(context.Background(), archive, platform, filepath.Join(folder, "lib.so"))
			if err == nil || !strings.Contains(err.Error(), c.contains) {
				t.Errorf("got %v, want %q in it", err, c.contains)
			}
			if left, _ := os.ReadDir(folder); len(left) != 0 {
				t.Errorf("%v was left behind", left)
			}
		})
	}
}

// TestDownload has a stand-in for npm that leaves an archive, and one that fails.
func TestDownload(t *testing.T) {
	archive, p := packed(t, regular)
	for _, c := range []struct{ name, script, contains string }{
		{"works", "cp '" + archive + "' ./pack-1.tgz", ""},
		{"fails", "echo no such package >&2; exit 3", "no such package"},
		{"leaves nothing", "exit 0", "left 0 archives"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bin := t.TempDir()
			if err := os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			path := filepath.Join(t.TempDir(), "lib.so")
			err := p.install(context.Background(), "", "os/cpu", path)
			if c.contains == "" && err != nil || c.contains != "" && (err == nil || !strings.Contains(err.Error(), c.contains)) {
				t.Fatalf("got %v, want %q in it", err, c.contains)
			}
			if data, _ := os.ReadFile(path); (string(data) == content) != (err == nil) {
				t.Errorf("the library is %q", data)
			}
		})
	}
}

// TestRun puts the library of METALORA_ORT into a folder, twice, and replaces what lies there.
func TestRun(t *testing.T) {
	from, into := filepath.Join(t.TempDir(), "mine.so"), filepath.Join(t.TempDir(), "lib")
	if err := os.WriteFile(from, []byte("MZ of no version"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv(library.Variable, from)
	target := filepath.Join(into, library.FileName(runtime.GOOS))
	for _, before := range []string{"", "same", "other"} {
		if before == "other" {
			os.Remove(target)
			if err := os.WriteFile(target, []byte(before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := run(context.Background(), "", into); err != nil {
			t.Fatal(err)
		}
		if data, _ := os.ReadFile(target); string(data) != "MZ of no version" {
			t.Errorf("before: %q; after: %q", before, data)
		}
	}
	t.Setenv(library.Variable, from+".none")
	if err := run(context.Background(), "", into); err == nil {
		t.Error("an absent METALORA_ORT passed")
	}
}

// TestPinned compares the hashes that are written down with the library that the cache holds.
func TestPinned(t *testing.T) {
	path, err := library.CachePath(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	f, ok := onnxruntime.files[runtime.GOOS+"/"+runtime.GOARCH]
	if _, err := os.Stat(path); err != nil || !ok {
		return // tests run on a library from elsewhere
	}
	if err := f.verify(path); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}
