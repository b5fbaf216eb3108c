// Package confined opens files that strangers may have made.
//
// A path that a person gives is opened where it leads. A name that stands in a file, or that is looked for in a folder,
// leads nowhere but into that folder: a [Folder] opens it through an os.Root, so neither "..", nor an absolute path, nor a
// link leads out, and nothing that changes between a check and the opening helps it. Only what is open is asked what it is,
// and opening never waits: named pipes and devices are refused. Sizes are known before memory is taken.
//
// The cache of Hugging Face's hub keeps a file's content apart from its name: models--NAME/snapshots/REVISION/FILE is a link
// to models--NAME/blobs/SUM. Of a folder in such a cache the links are followed inside that models--NAME, and no further.
package confined

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Open opens the regular file that a person named.
func Open(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|withoutWaiting, 0)
	if err != nil {
		return nil, err
	}
	return regular(file, path)
}

// regular hands on a regular file and closes any other.
func regular(file *os.File, path string) (*os.File, error) {
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Read reads a regular file of at most so many bytes that a person named.
func Read(path string, most int64) ([]byte, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	return content(file, path, most)
}

// content reads a file whole and closes it. One that grows meanwhile is cut where it ended.
func content(file *os.File, path string, most int64) ([]byte, error) {
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s: %d bytes, and at most %d are read", path, info.Size(), most)
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(file, data)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) { // it became shorter
		return nil, err
	}
	return data[:n], nil
}

// Folder is a folder out of which no name leads. Names are paths below it.
type Folder struct {
	root  *os.Root
	below string // the folder's own path in root: "." unless root is a cache
	path  string // as it was given, for messages
}

// OpenFolder opens the folder that a person named.
func OpenFolder(path string) (*Folder, error) {
	where, below := path, "."
	if cache, inside, ok := cacheOf(path); ok {
		where, below = cache, inside
	}
	// The separator lets a named pipe fail as no folder, where opening it would wait.
	root, err := os.OpenRoot(where + string(filepath.Separator))
	if err != nil {
		return nil, named(err, path)
	}
	return &Folder{root, below, path}, nil
}

// cacheOf finds the part of a hub's cache that a folder belongs to, and the folder's path in it.
func cacheOf(path string) (cache, below string, ok bool) {
	whole, err := filepath.Abs(path)
	if err == nil {
		whole, err = filepath.EvalSymlinks(whole)
	}
	if err != nil {
		return "", "", false // opening it says what is wrong
	}
	for at := whole; at != filepath.Dir(at); at = filepath.Dir(at) {
		snapshots := filepath.Dir(at)
		cache := filepath.Dir(snapshots)
		kind, _, named := strings.Cut(filepath.Base(cache), "--")
		if filepath.Base(snapshots) == "snapshots" && named && (kind == "models" || kind == "datasets") {
			below, err := filepath.Rel(cache, whole)
			return cache, below, err == nil
		}
	}
	return "", "", false
}

// Open opens a regular file in the folder.
func (f *Folder) Open(name string) (*os.File, error) {
	path := filepath.Join(f.path, name)
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%q leads out of the folder %s", name, f.path)
	}
	file, err := f.root.OpenFile(filepath.Join(f.below, name), os.O_RDONLY|withoutWaiting, 0)
	if err != nil {
		return nil, named(err, path)
	}
	return regular(file, path)
}

// Read reads a regular file of at most so many bytes in the folder.
func (f *Folder) Read(name string, most int64) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	return content(file, filepath.Join(f.path, name), most)
}

// Has tells whether the folder has a regular file of that name that [Folder.Open] would open.
func (f *Folder) Has(name string) bool {
	if !filepath.IsLocal(name) {
		return false
	}
	info, err := f.root.Stat(filepath.Join(f.below, name))
	return err == nil && info.Mode().IsRegular()
}

// Names lists what lies in the folder itself, in order.
func (f *Folder) Names() ([]string, error) {
	entries, err := fs.ReadDir(f.root.FS(), filepath.ToSlash(f.below))
	if err != nil {
		return nil, named(err, f.path)
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, nil
}

// Close closes the folder. Files that were opened in it stay open.
func (f *Folder) Close() error { return f.root.Close() }

// ReadIn reads one file of a folder.
func ReadIn(folder, name string, most int64) ([]byte, error) {
	f, err := OpenFolder(folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Read(name, most)
}

// NoLink is the error that the last name of one of the paths is a link. What is not there is none.
func NoLink(paths ...string) error {
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s is a link, which is not followed", path)
		}
	}
	return nil
}

// HasIn tells whether a folder has a file; see [Folder.Has].
func HasIn(folder, name string) bool {
	f, err := OpenFolder(folder)
	if err != nil {
		return false
	}
	defer f.Close()
	return f.Has(name)
}

// named gives an error of a Root the path that a person knows.
func named(err error, path string) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	if err.Error() == "path escapes from parent" { // the os package keeps this one to itself
		return fmt.Errorf("%s: it is a link that leads out of its folder", path)
	}
	return &fs.PathError{Op: "open", Path: path, Err: err}
}
