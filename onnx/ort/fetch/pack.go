package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"metalora/onnx/ort/library"
)

// pack is an npm package that holds a library for several systems.
type pack struct {
	spec   string          // name@version, as npm takes it
	sha512 string          // of the archive, base64: the registry's "integrity" without its prefix
	files  map[string]file // by GOOS/GOARCH
}

// file is a library in the archive.
type file struct {
	path   string
	sha256 string // hexadecimal
	size   int64
}

// onnxruntime is the official package. It holds no library for Intel Macs.
var onnxruntime = pack{
	spec:   "onnxruntime-node@" + library.Release,
	sha512: "twhs1C2C/BFkz1yc5OY0KIU2GUq6DURO7hD4bx5Q2Qy3nAMJwRXW8xU3NVczE29VA9lolLOYepoD8fjTGOfIqw==",
	files: map[string]file{
		"linux/amd64": {
			"package/bin/napi-v6/linux/x64/libonnxruntime.so.1",
			"ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23", 45828512,
		},
		"linux/arm64": {
			"package/bin/napi-v6/linux/arm64/libonnxruntime.so.1",
			"1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76", 25135496,
		},
		"darwin/arm64": {
			"package/bin/napi-v6/darwin/arm64/libonnxruntime.1.30.0.dylib",
			"685d2be5dba1309c89d3a5324b7fd06a5c42f1a61bfea32d14c4cc28d072121d", 44589928,
		},
	},
}

// install makes path the package's library for a platform, from the archive or, where that is empty, from npm.
func (p pack) install(ctx context.Context, archive, platform, path string) error {
	f, ok := p.files[platform]
	if !ok {
		return fmt.Errorf("%s has no library for %s, only for %s: install ONNX Runtime %s or newer by other means and set %s to its file",
			p.spec, platform, strings.Join(slices.Sorted(maps.Keys(p.files)), ", "), library.Minimum, library.Variable)
	}
	if f.verify(path) == nil {
		return nil
	}
	if archive == "" {
		folder, err := os.MkdirTemp("", "metalora-ort-")
		if err != nil {
			return fmt.Errorf("making a folder for the download: %w", err)
		}
		defer os.RemoveAll(folder)
		if archive, err = p.download(ctx, folder); err != nil {
			return fmt.Errorf("downloading %s: %w", p.spec, err)
		}
	}
	if err := p.verify(archive); err != nil {
		return fmt.Errorf("verifying %s: %w", archive, err)
	}
	if err := f.extract(archive, path); err != nil {
		return fmt.Errorf("extracting %s from %s: %w", f.path, archive, err)
	}
	fmt.Fprintln(os.Stderr, "ONNX Runtime is at", path)
	return nil
}

// download has npm put the archive into the folder. npm runs there, so that no project's settings reach it.
func (p pack) download(ctx context.Context, folder string) (archive string, err error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm is needed for this (or -archive with the downloaded package): %w", err)
	}
	fmt.Fprintf(os.Stderr, "downloading %s (114 MB)\n", p.spec)
	cmd := exec.CommandContext(ctx, npm, "pack", "--ignore-scripts", p.spec)
	cmd.Dir = folder
	if said, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("npm pack: %w\n%s", err, said)
	}
	found, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack left %d archives, want one", len(found))
	}
	return found[0], nil
}
