package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"metalora/pipeline/download"
	"metalora/pipeline/fault"
)

// Pulled is what a pull came to.
type Pulled struct {
	Dir     string   `json:"path"`   // the snapshot: a model's folder
	Commit  string   `json:"commit"` // that the revision is at
	Files   []string `json:"files"`
	Fetched int      `json:"fetched"` // files that were not in the cache
	Bytes   int64    `json:"bytes"`   // of all files
}

// Progress is told what a pull does.
type Progress interface {
	Expect(total int64) // bytes of the files that have to come; some may be there in part
	Advance(n int64)    // so many more are there
	Note(text string)   // something worth a line
}

// Pull brings a model into the cache, or finds that it is there. Where the hub cannot be reached, or is not to be asked
// ([Settings.Offline]), what the cache has of the revision is the answer.
func (c *Client) Pull(ctx context.Context, name Name, p Progress) (*Pulled, error) {
	c.Download.Note = p.Note
	if c.Offline {
		dir, err := c.Find(name)
		if err != nil {
			return nil, fault.Input(fmt.Errorf("%w; HF_HUB_OFFLINE forbids asking the hub", err))
		}
		return c.found(dir)
	}
	d, err := c.describe(ctx, name)
	if errors.Is(err, download.Unreachable) {
		if dir, missing := c.Find(name); missing == nil {
			p.Note(fmt.Sprintf("%s cannot be reached; the cache has the model", c.Endpoint))
			return c.found(dir)
		}
	}
	if err != nil {
		return nil, c.explain(ctx, name, err)
	}
	files, err := choose(d.names())
	if err != nil {
		return nil, fault.Input(fmt.Errorf("%s cannot be used: %w", name, err))
	}
	pulled, err := c.fetch(ctx, name, d, files, p)
	if err != nil {
		return nil, c.explain(ctx, name, err)
	}
	if err := c.note(name, d.Commit); err != nil {
		return nil, c.explain(ctx, name, err)
	}
	return pulled, nil
}

// found describes a model that is in the cache whole.
func (c *Client) found(dir string) (*Pulled, error) {
	pulled := &Pulled{Dir: dir, Commit: filepath.Base(dir)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err == nil && wanted(e.Name()) {
			pulled.Files, pulled.Bytes = append(pulled.Files, e.Name()), pulled.Bytes+info.Size()
		}
	}
	return pulled, nil
}

// fetch brings the files that are not there, several at a time, and links all of them into the snapshot.
func (c *Client) fetch(ctx context.Context, name Name, d *description, files []string, p Progress) (*Pulled, error) {
	pulled := &Pulled{Dir: filepath.Join(c.Cache, name.folder(), "snapshots", d.Commit), Commit: d.Commit, Files: files}
	var missing []download.File
	places := map[string]string{}
	var total int64
	for _, path := range files {
		f, err := c.file(ctx, name, d, path)
		if err != nil {
			return nil, err
		}
		pulled.Bytes += f.Size
		target := filepath.Join(pulled.Dir, path)
		if there(target, f) {
			continue
		}
		places[target] = f.Path
		if !there(f.Path, f) {
			missing, total = append(missing, f), total+f.Size
		}
	}
	pulled.Fetched = len(missing)
	if err := c.together(ctx, name, missing, total, p); err != nil {
		return nil, err
	}
	for target, blob := range places {
		if err := place(blob, target); err != nil {
			return nil, err
		}
	}
	return pulled, nil
}

// there tells whether a file's bytes are in the cache: blobs appear whole and verified, so their size says enough.
func there(path string, f download.File) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (f.Size == 0 || info.Size() == f.Size)
}

// together fetches files with as many workers as there are; the first failure ends all.
func (c *Client) together(ctx context.Context, name Name, files []download.File, total int64, p Progress) error {
	if len(files) == 0 {
		return nil
	}
	p.Expect(total)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan download.File)
	var workers sync.WaitGroup
	for range min(max(c.Workers, 1), len(files)) {
		workers.Go(func() {
			for f := range queue {
				if err := c.one(ctx, name, f, p); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, f := range files {
		select {
		case queue <- f:
		case <-ctx.Done():
		}
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

// one fetches a file that no other process fetches at the time.
func (c *Client) one(ctx context.Context, name Name, f download.File, p Progress) error {
	release, err := c.lock(ctx, name, string(f.Sum), p)
	if err != nil {
		return err
	}
	defer release()
	if there(f.Path, f) {
		p.Advance(f.Size) // another process brought it while we waited
		return nil
	}
	return c.Download.Fetch(ctx, f, p.Advance)
}
