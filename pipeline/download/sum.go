package download

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// Sum is a hash in hex, of one of the two kinds that Hugging Face's hub tells files by: 64 digits are the SHA-256 of the
// bytes (files in large-file storage), 40 digits git's SHA-1 of the blob.
type Sum string

// Valid tells whether it is one of the two kinds; such a sum is also a safe file name.
func (s Sum) Valid() bool {
	_, err := hex.DecodeString(string(s))
	return err == nil && (len(s) == 2*sha256.Size || len(s) == 2*sha1.Size)
}

// of computes the sum of a file's bytes.
func (s Sum) of(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	var h hash.Hash = sha256.New()
	if len(s) == 2*sha1.Size {
		info, err := file.Stat()
		if err != nil {
			return "", err
		}
		h = sha1.New() // not for secrecy: it is how git names blobs
		fmt.Fprintf(h, "blob %d\x00", info.Size())
	}
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// check compares the bytes at path with what is announced.
func (f File) check(path string) error {
	if n := size(path); f.Size > 0 && n != f.Size {
		return fmt.Errorf("%w: %d bytes of %s, announced were %d", ErrBytes, n, filepath.Base(f.Path), f.Size)
	}
	got, err := f.Sum.of(path)
	if err != nil {
		return &localError{err}
	}
	if got != string(f.Sum) {
		return fmt.Errorf("%w: %s has the sum %s, announced was %s", ErrBytes, shown(f.URL), got, f.Sum)
	}
	return nil
}

// Check tells whether a file is there with the announced bytes.
func (f File) Check() error {
	if _, err := os.Stat(f.Path); err != nil {
		return err
	}
	return f.check(f.Path)
}
