// Package disktest is a file system that goes wrong where a test wants it to.
//
// A [Disk] stands in place of the operating system ([disk.Use]) for what lies below one folder. It does each operation for real and
// keeps beside it what a disk would still have after a power cut: the bytes of files that were synced, under the names of folders that
// were synced. A test counts the operations of a run that nothing disturbs, then lets the same run meet a failure at each of them.
package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"metalora/pipeline/disk"
)

// Failure is what happens at the chosen operation.
type Failure int

// The kinds of failure. A write that is hit gets half of its bytes through, whatever the kind.
const (
	None       Failure = iota
	Once               // the operation fails (EIO), those after it work
	Full               // from then on nothing new fits: files, folders and bytes are refused (ENOSPC)
	Kill               // the process is gone: nothing is done any more, what was done stays
	PowerCut           // the machine is gone: what was not synced is lost, names and bytes
	NamesFirst         // likewise, on a file system that had all names on disk but not the bytes: those are zeros
)

func (f Failure) String() string {
	return [...]string{"none", "once", "full", "kill", "power cut", "names first"}[f]
}

// Failures are all that can go wrong.
var Failures = []Failure{Once, Full, Kill, PowerCut, NamesFirst}

// ErrGone is what a process that is gone would not see any more.
var ErrGone = errors.New("the process is gone")

// Disk is the system. All paths given to it must lie below its root.
type Disk struct {
	root    string
	failure Failure
	at      int // the operation that fails, from 1; 0: none

	mutex sync.Mutex
	count int
	names []string // of the operations, for messages
	tree  *node
}

// New makes a disk of what lies below root, all of it durable.
func New(root string, failure Failure, at int) (*Disk, error) {
	tree, err := load(root)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", root, err)
	}
	return &Disk{root: root, failure: failure, at: at, tree: tree}, nil
}

// Operations counts those that were asked for.
func (d *Disk) Operations() int {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.count
}

// Name says what the operation with that number was, from 1.
func (d *Disk) Name(at int) string {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.names[at-1]
}

// Struck names the operation that the failure met; "" where it met none yet.
func (d *Disk) Struck() string {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.at == 0 || d.count < d.at {
		return ""
	}
	return d.names[d.at-1]
}

// Restart leaves below the root what the next process finds there.
func (d *Disk) Restart() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	switch d.failure {
	case PowerCut:
		return d.tree.store(d.root, func(n *node) (map[string]*node, []byte) { return n.durable, n.synced })
	case NamesFirst:
		return d.tree.store(d.root, func(n *node) (map[string]*node, []byte) {
			return n.entries, append(slices.Clone(n.synced), make([]byte, max(0, len(n.content)-len(n.synced)))...)
		})
	}
	return nil
}

// turn counts an operation and tells what becomes of it: an error that is final for it, and whether it is to be half done
// first. It returns with the mutex held.
func (d *Disk) turn(what, path string, grows bool) (half bool, err error) {
	d.mutex.Lock()
	d.count++
	rest, _ := filepath.Rel(d.root, path)
	d.names = append(d.names, what+" "+rest)
	if d.at == 0 || d.count < d.at {
		return false, nil
	}
	first := d.count == d.at
	switch d.failure {
	case Once:
		if first {
			return true, &fs.PathError{Op: what, Path: path, Err: syscall.EIO}
		}
	case Full:
		if grows {
			return first, &fs.PathError{Op: what, Path: path, Err: syscall.ENOSPC}
		}
	case Kill, PowerCut, NamesFirst:
		return first, &fs.PathError{Op: what, Path: path, Err: ErrGone}
	}
	return false, nil
}

// find walks to a node.
func (d *Disk) find(path string) (*node, error) {
	rest, err := filepath.Rel(d.root, path)
	if err != nil || rest == ".." || strings.HasPrefix(rest, ".."+string(filepath.Separator)) {
		return nil, fmt.Errorf("%s does not lie below %s", path, d.root)
	}
	at := d.tree
	if rest == "." {
		return at, nil
	}
	for _, name := range strings.Split(rest, string(filepath.Separator)) {
		if at = at.entries[name]; at == nil {
			return nil, &fs.PathError{Op: "find", Path: path, Err: fs.ErrNotExist}
		}
	}
	return at, nil
}

// Create implements [disk.System].
func (d *Disk) Create(path string) (disk.File, error) {
	_, err := d.turn("create", path, true)
	defer d.mutex.Unlock()
	if err != nil {
		return nil, err
	}
	above, err := d.find(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	real, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	n := &node{}
	above.change(put{above, filepath.Base(path), n})
	return &file{disk: d, path: path, node: n, real: real}, nil
}

// Mkdir implements [disk.System].
func (d *Disk) Mkdir(path string) error {
	_, err := d.turn("mkdir", path, true)
	defer d.mutex.Unlock()
	if err != nil {
		return err
	}
	above, err := d.find(filepath.Dir(path))
	if err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o777); err != nil {
		return err
	}
	above.change(put{above, filepath.Base(path), newFolder()})
	return nil
}

// Rename implements [disk.System].
func (d *Disk) Rename(from, to string) error {
	_, err := d.turn("rename", from, false)
	defer d.mutex.Unlock()
	if err != nil {
		return err
	}
	n, err := d.find(from)
	if err != nil {
		return err
	}
	before, err := d.find(filepath.Dir(from))
	if err != nil {
		return err
	}
	after, err := d.find(filepath.Dir(to))
	if err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	before.change(put{before, filepath.Base(from), nil}, put{after, filepath.Base(to), n})
	return nil
}

// Remove implements [disk.System].
func (d *Disk) Remove(path string) error {
	_, err := d.turn("remove", path, false)
	defer d.mutex.Unlock()
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	above, err := d.find(filepath.Dir(path))
	if err != nil {
		return err
	}
	above.change(put{above, filepath.Base(path), nil})
	return nil
}

// Sync implements [disk.System].
func (d *Disk) Sync(path string) error {
	_, err := d.turn("sync", path, false)
	defer d.mutex.Unlock()
	if err != nil {
		return err
	}
	n, err := d.find(path)
	if err != nil {
		return err
	}
	n.synced = slices.Clone(n.content)
	return nil
}

// SyncDir implements [disk.System].
func (d *Disk) SyncDir(path string) error {
	_, err := d.turn("sync folder", path, false)
	defer d.mutex.Unlock()
	if err != nil {
		return err
	}
	n, err := d.find(path)
	if err != nil {
		return err
	}
	n.sync(len(n.pending))
	return nil
}

// file is a file that is being written.
type file struct {
	disk *Disk
	path string
	node *node
	real *os.File
}

func (f *file) Write(p []byte) (int, error) {
	half, err := f.disk.turn("write", f.path, true)
	defer f.disk.mutex.Unlock()
	if err != nil && !half {
		return 0, err
	}
	if half {
		p = p[:len(p)/2]
	}
	n, failed := f.real.Write(p)
	f.node.content = append(f.node.content, p[:n]...)
	return n, errors.Join(err, failed)
}

func (f *file) Sync() error {
	_, err := f.disk.turn("sync", f.path, false)
	defer f.disk.mutex.Unlock()
	if err == nil {
		f.node.synced = slices.Clone(f.node.content)
	}
	return err
}

// Close is no operation: the operating system closes the files of a process that is gone.
func (f *file) Close() error { return f.real.Close() }
