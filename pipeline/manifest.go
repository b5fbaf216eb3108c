package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"metalora/models/safetensors"
	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
)

// manifestFile lists the other files of a finished unit or of a checkpoint.
const manifestFile = "manifest.json"

// manifest says what a folder held when it was written.
type manifest struct {
	Format      int                 `json:"format"`
	Environment environment         `json:"environment,omitempty"` // a checkpoint's: what its bits depend on
	Files       map[string]fileMark `json:"files"`                 // by their paths below the folder, with slashes
	Sum         string              `json:"sum"`                   // of the manifest's own bytes, this empty
}

// fileMark is a file's size and SHA-256.
type fileMark struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

const manifestFormat = 1

// Bounds of a manifest: one of 10,000 files has 1.5 MB.
const (
	maxManifest        = 4 << 20
	maxManifestEntries = 50_000
)

// Problem is a file that is not what it should be. File is a path below the folder that was looked at.
type Problem struct {
	File    string `json:"file"`
	Problem string `json:"problem"`
}

// encode writes the manifest with its own sum.
func (m manifest) encode() ([]byte, error) {
	m.Sum = ""
	plain, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(plain)
	m.Sum = hex.EncodeToString(sum[:])
	data, err := json.MarshalIndent(m, "", "  ")
	return append(data, '\n'), err
}

// writeManifest lists everything in a folder that is complete but for its manifest.
func writeManifest(dir string, e environment) error {
	m := manifest{Format: manifestFormat, Environment: e, Files: map[string]fileMark{}}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	defer root.Close()
	names, err := filesBelow(root)
	if err != nil {
		return fmt.Errorf("writing the manifest of %s: %w", dir, err)
	}
	for _, name := range names {
		if m.Files[name], err = markOf(root, name); err != nil {
			return fmt.Errorf("writing the manifest of %s: %w", dir, err)
		}
	}
	data, err := m.encode()
	if err != nil {
		return fmt.Errorf("writing the manifest of %s: %w", dir, err)
	}
	return disk.WriteFile(filepath.Join(dir, manifestFile), data)
}

// readManifest reads a manifest and checks it against its own sum. It must be, byte for byte, what encode writes.
func readManifest(dir string) (manifest, error) {
	var m manifest
	data, err := confined.ReadIn(dir, manifestFile, maxManifest)
	if err != nil {
		return m, err
	}
	if err := confined.CheckJSON(data, maxManifestEntries); err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, err
	}
	if again, err := m.encode(); err != nil || !bytes.Equal(data, again) {
		return m, errors.New("it is not as it was written: its own sum does not fit")
	}
	if m.Format != manifestFormat {
		return m, fmt.Errorf("it has format %d, this program knows %d", m.Format, manifestFormat)
	}
	return m, nil
}

// check compares a folder with its manifest, or the files in it whose paths begin with a prefix. Files are opened inside the folder
// only, whatever the names in it say.
func (m manifest) check(dir, prefix string) ([]Problem, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if p := m.Files[name].problem(root, name); p != "" {
			problems = append(problems, Problem{name, p})
		}
	}
	names, err := filesBelow(root)
	for _, name := range names {
		if _, known := m.Files[name]; !known && strings.HasPrefix(name, prefix) {
			problems = append(problems, Problem{name, "the manifest does not name it"})
		}
	}
	return problems, err
}

// problem compares one file with its mark; "" where it is as it was.
func (want fileMark) problem(root *os.Root, name string) string {
	got := want
	if most := maxSize(name); want.Bytes > most {
		return fmt.Sprintf("the manifest says %d bytes, and at most %d are read", want.Bytes, most)
	}
	info, err := root.Lstat(filepath.FromSlash(name))
	if err == nil && info.Mode().IsRegular() && info.Size() != want.Bytes {
		got.Bytes = info.Size() // it need not be read
	} else {
		if err == nil && info.Size() > largeSum {
			err = fits(root, name)
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			got, err = markOf(root, name)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "it is missing"
	case err != nil:
		return err.Error()
	case got.Bytes != want.Bytes:
		return fmt.Sprintf("it has %d bytes, the manifest says %d", got.Bytes, want.Bytes)
	case got != want:
		return fmt.Sprintf("its SHA-256 is %.12s…, the manifest says %.12s…", got.SHA256, want.SHA256)
	}
	return ""
}

// largeSum is the size from which on a file of weights is held against its own header before it is summed up.
const largeSum = 1 << 30

// fits is the error that a file of weights does not have the size that its header says.
func fits(root *os.Root, name string) error {
	if path.Ext(name) != ".safetensors" {
		return nil
	}
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	weights, err := safetensors.NewFile(file, name) // closes the file where it fails
	if err != nil {
		return err
	}
	return weights.Close()
}

// maxSize is the most bytes that a file of a unit, a checkpoint or an adapter may have: weights take as many as they ask for, records no
// more than their readers read, and no other file is as large as the metrics of a long training. Without it a file of holes, as large as
// its manifest says, would keep the sum busy for hours.
func maxSize(name string) int64 {
	switch {
	case slices.Contains([]string{".safetensors", ".onnx", ".onnx_data"}, path.Ext(name)):
		return math.MaxInt64
	case slices.Contains([]string{ResultsFile, stateFile, unitFile, ProvenanceFile}, name):
		return maxRecord
	}
	return maxMetrics
}

// filesBelow lists the files in a folder and below, its manifest left out.
func filesBelow(root *os.Root) ([]string, error) {
	var names []string
	err := fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && path != manifestFile {
			names = append(names, path)
		}
		return err
	})
	return names, err
}

func markOf(root *os.Root, name string) (fileMark, error) {
	info, err := root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return fileMark{}, err
	}
	if !info.Mode().IsRegular() {
		return fileMark{}, fmt.Errorf("%s is no regular file", name)
	}
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return fileMark{}, err
	}
	defer file.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, file)
	return fileMark{n, hex.EncodeToString(sum.Sum(nil))}, err
}
