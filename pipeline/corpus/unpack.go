package corpus

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Bounds of what an archive may hold; ConvAI2's is well within them.
const (
	mostFiles = 200
	mostBytes = 4 << 30
)

var errHostile = errors.New("the archive is not one of dialogue files")

// unpack makes dir of an archive's files. They gather beside it, so that dir is there whole or not at all.
func (c Corpus) unpack(archive, dir string) (err error) {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	root, err := os.OpenRoot(temporary)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := extract(in, root, mostFiles, mostBytes); err != nil {
		return err
	}
	if names := c.missing(temporary); len(names) > 0 {
		return fmt.Errorf("%w: it lacks %s", errHostile, strings.Join(names, " and "))
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	return os.Rename(temporary, dir)
}

// extract writes the files of a .tgz into root, by their base names alone: no folder, no link, no device, nothing twice, and
// not more than so many files and bytes.
func extract(in io.Reader, root *os.Root, files int, bytes int64) error {
	packed, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("%w: %w", errHostile, err)
	}
	entries := tar.NewReader(packed)
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errHostile, err)
		}
		if entry.Typeflag == tar.TypeDir || entry.Typeflag == tar.TypeXGlobalHeader || strings.HasPrefix(path.Base(entry.Name), "._") {
			continue // macOS's archives hold attributes in files of that name
		}
		if files, bytes = files-1, bytes-entry.Size; files < 0 || bytes < 0 {
			return fmt.Errorf("%w: it is too large at %q", errHostile, entry.Name)
		}
		if entry.Typeflag != tar.TypeReg {
			return fmt.Errorf("%w: %q is no regular file", errHostile, entry.Name)
		}
		if err := write(root, path.Base(entry.Name), entries); err != nil {
			return err
		}
	}
}

func write(root *os.Root, name string, from io.Reader) error {
	out, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	return errors.Join(err, out.Sync(), out.Close())
}
