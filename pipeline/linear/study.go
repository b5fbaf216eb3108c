package linear

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync"

	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
	"metalora/pipeline/fault"
)

// What lies in a study's folder besides its report.
const (
	configFile  = "linear.yaml" // the resolved settings
	partsFolder = "parts"       // one file a part, whole or not at all
)

// Run computes the parts of a study that its folder does not have yet and returns all results. done is called as each
// part ends, one call at a time. A cancelled run keeps its finished parts and returns fault.Stopped.
func Run(ctx context.Context, c *Config, dir string, done func(finished, total int, name string)) (*Results, error) {
	if err := c.place(dir); err != nil {
		return nil, err
	}
	parts := c.parts()
	results := make([]Results, len(parts))
	var todo []int
	for i, p := range parts {
		known, err := readPart(dir, p.name, &results[i])
		if err != nil {
			return nil, err
		}
		if !known {
			todo = append(todo, i)
		}
	}
	finished := len(parts) - len(todo)
	err := c.each(ctx, todo, func(ctx context.Context, i int) error {
		var err error
		results[i], err = parts[i].run(ctx)
		if err == nil {
			err = writePart(dir, parts[i].name, &results[i])
		}
		return err
	}, func(i int) {
		finished++
		done(finished, len(parts), parts[i].name)
	})
	if err != nil {
		return nil, err
	}
	var all Results
	for _, r := range results {
		all.Adapted = append(all.Adapted, r.Adapted...)
		all.Recovered = append(all.Recovered, r.Recovered...)
		all.Fitted = append(all.Fitted, r.Fitted...)
		all.Rests = append(all.Rests, r.Rests...)
	}
	return &all, nil
}

// each does some parts on several threads; done is called one at a time. The first failure stops the others.
func (c *Config) each(ctx context.Context, todo []int, work func(context.Context, int) error, done func(int)) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var group sync.WaitGroup
	var one sync.Mutex
	for range c.threads() {
		group.Go(func() {
			for i := range next {
				if err := work(inner, i); err != nil {
					cancel(err)
					return
				}
				one.Lock()
				done(i)
				one.Unlock()
			}
		})
	}
	for _, i := range todo {
		select {
		case next <- i:
		case <-inner.Done():
		}
	}
	close(next)
	group.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("the linear study: %w; the finished parts are kept", fault.Stopped)
	}
	return context.Cause(inner)
}

func (c *Config) threads() int {
	if c.Threads > 0 {
		return c.Threads
	}
	return runtime.GOMAXPROCS(0)
}

// place makes the folder, or checks that it is of the same study.
func (c *Config) place(dir string) error {
	same := *c
	same.Threads = 0 // changes no number
	var now bytes.Buffer
	if err := same.Write(&now); err != nil {
		return err
	}
	path := filepath.Join(dir, configFile)
	before, err := confined.ReadIn(dir, configFile, maxPart)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("the linear study: %w", err)
	case !bytes.Equal(before, now.Bytes()):
		return fault.Usage(fmt.Errorf("%s holds a study with other settings (%s): choose another folder with --out, or remove it", dir, path))
	default:
		return nil
	}
	if err := disk.MkdirAll(filepath.Join(dir, partsFolder)); err != nil {
		return fmt.Errorf("the linear study: %w", err)
	}
	return disk.WriteFile(path, now.Bytes())
}

// maxPart bounds a part's file; the largest has some 100 KB.
const maxPart = 16 << 20

func partPath(dir, name string) string { return filepath.Join(dir, partsFolder, name+".json") }

// readPart reads a finished part; false where there is none.
func readPart(dir, name string, into *Results) (bool, error) {
	path := partPath(dir, name)
	data, err := confined.ReadIn(filepath.Dir(path), filepath.Base(path), maxPart)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return false, fault.Input(fmt.Errorf("reading %s: %w (remove the file to compute the part again)", path, err))
	}
	return true, nil
}

func writePart(dir, name string, r *Results) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keeping part %s: %w", name, err)
	}
	return disk.WriteFile(partPath(dir, name), append(data, '\n'))
}
