// Package corpus fetches public dialogue corpora into the user's cache: the official archive, verified, unpacked into one folder
// that appears whole or not at all.
package corpus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"metalora/pipeline/config"
	"metalora/pipeline/download"
	"metalora/pipeline/fault"
)

// Corpus is a set of dialogues and its archive.
type Corpus struct {
	Name         string
	URL          string // of the official archive
	SHA256       string
	Train, Valid string // files in it that experiments read
	Licence      string
}

// ConvAI2 is the archive that ParlAI's task of that name takes.
var ConvAI2 = Corpus{
	Name:    "convai2",
	URL:     "http://parl.ai/downloads/convai2/convai2_fix_723.tgz",
	SHA256:  "d0ae89defe2fd0b0a4221eaa642a457d7d40cef475f54798119c7f3b8dd9361d",
	Train:   "train_self_original.txt",
	Valid:   "valid_self_original.txt",
	Licence: "CC BY 4.0",
}

var all = []Corpus{ConvAI2}

// Named is the corpus of that name.
func Named(name string) (Corpus, error) {
	var names []string
	for _, c := range all {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Corpus{}, fault.Usage(fmt.Errorf("there is no corpus %q%s", name, config.Suggest(name, names)))
}

// Dir is the corpus's folder in the user's cache, whether or not it is there.
func (c Corpus) Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache: %w", err)
	}
	return filepath.Join(cache, "metalora", "data", c.Name), nil
}

// Locate turns what a user calls a dialogue file into a path: a corpus's name stands for its file in the cache, anything else
// for itself. train says which of its two files is meant.
func Locate(name string, train bool) string {
	c, err := Named(name)
	if err != nil {
		return name
	}
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		return name
	}
	dir, err := c.Dir()
	if err != nil {
		return name
	}
	if train {
		return filepath.Join(dir, c.Train)
	}
	return filepath.Join(dir, c.Valid)
}

// missing lists the files that experiments read and that dir lacks.
func (c Corpus) missing(dir string) (names []string) {
	for _, name := range []string{c.Train, c.Valid} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() {
			names = append(names, name)
		}
	}
	return names
}

// Pull brings the corpus into dir, unless it is there. from is the archive's file or a mirror's URL; "" is the official one.
func (c Corpus) Pull(ctx context.Context, client *download.Client, from, dir string, progress func(n int64)) error {
	if len(c.missing(dir)) == 0 {
		return nil
	}
	if _, err := os.Lstat(dir); err == nil {
		return fault.Input(fmt.Errorf("%s lacks %s: move that folder away and pull again", dir, strings.Join(c.missing(dir), " and ")))
	}
	archive := download.File{URL: from, Path: dir + ".tgz", Sum: download.Sum(c.SHA256)}
	fetched := from == "" || strings.Contains(from, "://")
	switch {
	case !fetched:
		archive.Path = from
		if err := archive.Check(); err != nil {
			return fault.Input(fmt.Errorf("reading the archive: %w", err))
		}
	case from == "":
		archive.URL = c.URL
		fallthrough
	default:
		if err := client.Fetch(ctx, archive, progress); err != nil {
			return c.explain(err)
		}
	}
	if err := c.unpack(archive.Path, dir); err != nil {
		return c.explain(fmt.Errorf("unpacking %s: %w", archive.Path, err))
	}
	if fetched {
		return os.Remove(archive.Path)
	}
	return nil
}

// explain says what to do about a failure, and marks it for the exit code.
func (c Corpus) explain(err error) error {
	status := (*download.StatusError)(nil)
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: what has come of %s is kept; the same command goes on", fault.Stopped, c.Name)
	case errors.Is(err, download.ErrBytes):
		return fault.Input(fmt.Errorf("pulling %s: %w; nothing was kept: name another mirror, or the archive's file, by --from", c.Name, err))
	case errors.As(err, &status) && !slices.Contains([]int{429, 500, 502, 503, 504}, status.Status):
		return fault.Input(fmt.Errorf("pulling %s: %w; name a mirror, or the archive's file, by --from", c.Name, err))
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("pulling %s: %w; make room, or name a cache on another disk by XDG_CACHE_HOME; the same command goes on", c.Name, err)
	case errors.Is(err, errHostile), errors.Is(err, fs.ErrExist):
		return fault.Input(fmt.Errorf("pulling %s: %w", c.Name, err))
	}
	return fmt.Errorf("pulling %s: %w; what has come is kept: the same command goes on", c.Name, err)
}
