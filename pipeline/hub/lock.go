package hub

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"metalora/pipeline/filelock"
)

// lock takes the lock on a blob that huggingface_hub takes too, and waits for whoever holds it.
func (c *Client) lock(ctx context.Context, name Name, sum string, p Progress) (release func(), err error) {
	path := filepath.Join(c.Cache, ".locks", name.folder(), sum+".lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		switch err := filelock.Try(file, true); err {
		case nil:
			return func() { file.Close() }, nil
		case filelock.ErrHeld:
		default:
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if !waited {
			p.Note("another process fetches the same file; waiting for it")
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			file.Close()
			return nil, context.Cause(ctx)
		}
	}
}
