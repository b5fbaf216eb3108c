package pipeline

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"path/filepath"
	"sync"

	"metalora/pipeline/disk"
)

// folder is a new folder whose files are summed up while they are written, so that its manifest costs no second look at them.
// Nobody reads it before its name says that it is complete, so its files are written in place.
type folder struct {
	dir   string
	marks map[string]fileMark
}

// pieceBytes is how much is summed up and written at a time.
const pieceBytes = 1 << 20

// write makes one file, down to the disk; its name becomes durable with [folder.seal].
func (f *folder) write(name string, content func(io.Writer) error) error {
	file, err := disk.Create(filepath.Join(f.dir, name))
	if err != nil {
		return err
	}
	w := &summing{to: file, sum: sha256.New()}
	out := bufio.NewWriterSize(w, pieceBytes)
	err = content(out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	f.marks[name] = fileMark{w.bytes, hex.EncodeToString(w.sum.Sum(nil))}
	return errors.Join(err, file.Close())
}

func (f *folder) writeBytes(name string, data []byte) error {
	return f.write(name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// seal writes the manifest and makes the folder's content durable.
func (f *folder) seal(e environment) error {
	data, err := manifest{Format: manifestFormat, Environment: e, Files: f.marks}.encode()
	if err != nil {
		return err
	}
	if err := f.writeBytes(manifestFile, data); err != nil {
		return err
	}
	return disk.SyncDir(f.dir)
}

// summing sums a stream up on one core while another writes it.
type summing struct {
	to    io.Writer
	sum   hash.Hash
	bytes int64
}

func (s *summing) Write(p []byte) (int, error) {
	var summed sync.WaitGroup
	summed.Go(func() { s.sum.Write(p) })
	n, err := s.to.Write(p)
	summed.Wait()
	s.bytes += int64(n)
	return n, err
}
