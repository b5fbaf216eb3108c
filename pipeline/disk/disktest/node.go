package disktest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// node is a file or a folder as the operating system has it, and as it is on disk.
type node struct {
	content, synced  []byte           // a file's
	entries, durable map[string]*node // a folder's; nil in a file
	pending          []*change        // a folder's: what its next sync makes durable, in order
}

// change is what one operation does to names. A rename between two folders waits in both.
type change struct {
	puts []put
	done bool
}

// put sets a name in a folder; a nil node removes it.
type put struct {
	in   *node
	name string
	node *node
}

func newFolder() *node { return &node{entries: map[string]*node{}, durable: map[string]*node{}} }

func (p put) apply(to map[string]*node) {
	if p.node == nil {
		delete(to, p.name)
		return
	}
	to[p.name] = p.node
}

// change changes names now, and on disk as soon as one of the folders is synced.
func (n *node) change(puts ...put) {
	c := &change{puts: puts}
	for i, p := range puts {
		p.apply(p.in.entries)
		if i == 0 || p.in != puts[0].in {
			p.in.pending = append(p.in.pending, c)
		}
	}
}

// sync makes the first changes of a folder durable. What another folder changed before a rename out of it comes with the rename, as
// in a journal.
func (n *node) sync(first int) {
	pending := n.pending[:first]
	n.pending = n.pending[first:]
	for _, c := range pending {
		if c.done {
			continue
		}
		c.done = true
		for _, p := range c.puts {
			if p.in == n {
				continue
			}
			for i, other := range p.in.pending {
				if other == c {
					p.in.sync(i)
					break
				}
			}
		}
		for _, p := range c.puts {
			p.apply(p.in.durable)
		}
	}
}

// load reads a tree, as all durable.
func load(path string) (*node, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		data, err := os.ReadFile(path)
		return &node{content: data, synced: data}, err
	}
	n := newFolder()
	entries, err := os.ReadDir(path)
	for _, entry := range entries {
		child, err := load(filepath.Join(path, entry.Name()))
		if err != nil {
			return nil, err
		}
		n.entries[entry.Name()], n.durable[entry.Name()] = child, child
	}
	return n, err
}

// store makes a tree of folders and files anew by what is left of each node. The root itself stays where it is.
func (n *node) store(path string, left func(*node) (map[string]*node, []byte)) error {
	entries, content := left(n)
	if n.entries == nil {
		return os.WriteFile(path, content, 0o666)
	}
	if err := os.Mkdir(path, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, err := os.ReadDir(path)
	for _, entry := range there {
		err = errors.Join(err, os.RemoveAll(filepath.Join(path, entry.Name())))
	}
	for name, child := range entries {
		err = errors.Join(err, child.store(filepath.Join(path, name), left))
	}
	return err
}
