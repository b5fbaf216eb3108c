package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"metalora/onnx/ort/library"
)

// verify compares the archive with the hash that is written down.
func (p pack) verify(archive string) error {
	sum, err := digest(archive, sha512.New())
	if err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(sum); got != p.sha512 {
		return fmt.Errorf("SHA-512 is %s, want %s", got, p.sha512)
	}
	return nil
}

// verify compares an extracted library with the hash that is written down.
func (f file) verify(path string) error {
	sum, err := digest(path, sha256.New())
	if err != nil {
		return err
	}
	return f.same(sum)
}

func (f file) same(sum []byte) error {
	if got := hex.EncodeToString(sum); got != f.sha256 {
		return fmt.Errorf("SHA-256 is %s, want %s", got, f.sha256)
	}
	return nil
}

func digest(path string, h hash.Hash) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// extract takes the one file out of the archive. It appears at path whole and verified, or not at all.
func (f file) extract(archive, path string) error {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	packed, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	entries := tar.NewReader(packed)
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return errors.New("the archive does not hold it")
		}
		if err != nil {
			return err
		}
		if entry.Name != f.path {
			continue
		}
		if entry.Typeflag != tar.TypeReg || entry.Size != f.size {
			return fmt.Errorf("it is not a file of %d bytes", f.size)
		}
		return place(entries, path, f.same)
	}
}

// place writes what it reads to a new file beside path, lets check have a look at its SHA-256, and moves it to path.
func place(from io.Reader, path string, check func(sum []byte) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			out.Close()
			os.Remove(out.Name())
		}
	}()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, sum), from); err != nil {
		return err
	}
	if err := check(sum.Sum(nil)); err != nil {
		return err
	}
	if err := errors.Join(out.Chmod(0o644), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}

// beside puts the library at path into a folder under the name that a program looks for beside itself. It is the same
// file by another name where the file system can do that, and a copy elsewhere.
func beside(path, folder string) error {
	target := filepath.Join(folder, library.FileName(runtime.GOOS))
	if err := link(path, target); err != nil {
		return fmt.Errorf("putting %s into %s: %w", path, folder, err)
	}
	return nil
}

func link(path, target string) error {
	have, errHave := os.Stat(target)
	want, err := os.Stat(path)
	if err != nil {
		return err
	}
	if errHave == nil && (os.SameFile(have, want) || sameContent(path, target)) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	os.Remove(target)
	if os.Link(path, target) == nil {
		return nil
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	return place(in, target, func([]byte) error { return nil })
}

func sameContent(a, b string) bool {
	x, errX := digest(a, sha256.New())
	y, errY := digest(b, sha256.New())
	return errX == nil && errY == nil && string(x) == string(y)
}
