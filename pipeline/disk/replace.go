package disk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
)

// Replace writes a file so that path holds either what was there before or all of the new content, also after a
// crash: a file beside it is written, synced and renamed, and then the folder is synced.
func Replace(path string, write func(io.Writer) error) error {
	temporary := fmt.Sprintf("%s.%08x.tmp", path, rand.Uint32()) // a name only, so chance need not repeat
	err := writeNew(temporary, write)
	if err == nil {
		err = system.Rename(temporary, path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, errors.Join(err, Remove(temporary)))
	}
	if err := system.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// WriteFile is [Replace] with content that is at hand.
func WriteFile(path string, data []byte) error {
	return Replace(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// writeNew writes a file that must not exist yet, down to the disk.
func writeNew(path string, write func(io.Writer) error) error {
	file, err := system.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<16)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
