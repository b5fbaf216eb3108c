package hub

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"metalora/pipeline/confined"
)

// Find is the folder of a model in the cache, whoever fetched it. A model of which only a part is there is an error that says
// what is missing.
func (s Settings) Find(name Name) (string, error) {
	dir, err := s.snapshot(name)
	if err == nil {
		err = complete(dir)
	}
	if err != nil {
		return "", fmt.Errorf("%s is not in the cache %s: %w (`metalora model pull %s` fetches it)", name, s.Cache, err, name)
	}
	return dir, nil
}

// snapshot is the folder that a name stands for, by what the cache knows of its revision.
func (s Settings) snapshot(name Name) (string, error) {
	repo := filepath.Join(s.Cache, name.folder())
	commit := name.Revision
	if !commitForm.MatchString(commit) {
		data, err := confined.Read(filepath.Join(repo, "refs", filepath.FromSlash(name.Revision)), 1<<10)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if _, there := os.Stat(repo); there == nil {
				return "", fmt.Errorf("nothing of revision %q was fetched", name.Revision)
			}
			return "", errors.New("nothing of it was fetched")
		case err != nil:
			return "", err
		}
		if commit = strings.TrimSpace(string(data)); !commitForm.MatchString(commit) {
			return "", fmt.Errorf("refs/%s names no commit", name.Revision)
		}
	}
	return filepath.Join(repo, "snapshots", commit), nil
}

// complete tells whether a snapshot has what a model or an adapter consists of.
func complete(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("commit %s was not fetched", filepath.Base(dir))
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(dir, e.Name())); err != nil {
			if wanted(e.Name()) {
				return fmt.Errorf("the bytes of %s are missing", e.Name())
			}
			continue
		}
		names = append(names, e.Name())
	}
	files, err := choose(names)
	if err != nil {
		return err
	}
	return shardsThere(dir, files)
}

// place links a blob into a snapshot, or where links cannot be made moves it there, as huggingface_hub does. The link is made
// beside the blob and then moved: other processes find in the snapshot neither a gap nor a file more.
func place(blob, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	relative, err := filepath.Rel(filepath.Dir(path), blob)
	if err != nil {
		return err
	}
	if there, err := os.Readlink(path); err == nil && there == relative {
		return nil
	}
	link := blob + ".link-" + rand.Text()
	if err := os.Symlink(relative, link); err != nil {
		return os.Rename(blob, path)
	}
	if err := os.Rename(link, path); err != nil {
		return errors.Join(err, os.Remove(link))
	}
	return nil
}

// note writes where a branch or tag is, at once or not at all.
func (s Settings) note(name Name, commit string) error {
	if name.Revision == commit {
		return nil
	}
	path := filepath.Join(s.Cache, name.folder(), "refs", filepath.FromSlash(name.Revision))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".ref-*")
	if err != nil {
		return err
	}
	_, err = file.WriteString(commit)
	if err = errors.Join(err, file.Chmod(0o644), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}
