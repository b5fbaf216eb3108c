package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"metalora/models/safetensors"
	"metalora/pipeline/disk"
)

// checkpointShare is the most of a unit's time that its checkpoints may take: after each one training has the floor for so
// long that the checkpoint was this share, even where training waited for all of it.
const checkpointShare = 0.03

// writing is a checkpoint on its way to the disk. Training goes on beside it: the weights and moments are read where they are,
// without a copy, and only what would move them waits until they have been read. Between two updates of a real model lies a
// batch's forward and backward passes, many times the time that reading takes.
type writing struct {
	began time.Time
	read  chan struct{} // closed when the run's memory has been read
	ended chan struct{} // closed when the checkpoint is durable and has been checked, or failed; then err and took are set
	err   error
	took  time.Duration
}

// due tells whether a checkpoint is to be made after so many steps.
func (c *checkpoints) due(steps int) bool {
	if n := c.settings.Steps; n > 0 {
		return steps%n == 0
	}
	return c.current == nil && !time.Now().Before(c.next)
}

// begin states a checkpoint's size and starts to write it. Until [checkpoints.unread] returns, nobody may change the tensors.
func (c *checkpoints) begin(s *saved) error {
	target := filepath.Join(c.dir, s.name())
	if _, err := os.Stat(target); err == nil {
		return nil // the one that the session began with
	}
	state, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the checkpoint %s: %w", target, err)
	}
	size := int64(len(state) + len(s.metrics))
	for _, x := range s.tensors {
		size += 4 * int64(len(x.Data))
	}
	c.note(fmt.Sprintf("checkpoint after step %d: %s", s.Run.Done, megabytes(size)))
	w := &writing{began: time.Now(), read: make(chan struct{}), ended: make(chan struct{})}
	c.current = w
	go func() {
		w.err = c.write(target, s.tensors, s.metrics, append(state, '\n'), w.read)
		w.took = time.Since(w.began)
		close(w.ended)
	}()
	return nil
}

// megabytes shows a size.
func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// unread waits until the checkpoint that is being written has no more use for the run's memory.
func (c *checkpoints) unread() {
	if c.current != nil {
		<-c.current.read
	}
}

// settle takes note of a checkpoint that has been written, or waits for it, and says when the next one is due.
func (c *checkpoints) settle(wait bool) error {
	w := c.current
	if w == nil {
		return nil
	}
	if !wait {
		select {
		case <-w.ended:
		default:
			return nil
		}
	}
	<-w.ended
	c.current = nil
	c.next = w.began.Add(w.took + max(c.settings.pause(), time.Duration(float64(w.took)/checkpointShare)))
	return w.err
}

// write makes a checkpoint durable under its name, checks it as it came to lie on disk, and removes the oldest beyond those to
// keep. It closes read when it is done with the tensors.
func (c *checkpoints) write(target string, tensors safetensors.Tensors, metrics, state []byte, read chan<- struct{}) error {
	err := c.place(target, tensors, metrics, state, read)
	if err == nil {
		err = wrong(target)
	}
	if err != nil {
		return fmt.Errorf("writing the checkpoint %s: %w", target, err)
	}
	names, err := c.list()
	if err != nil {
		return err
	}
	for _, old := range names[min(len(names), c.settings.Keep):] {
		path := filepath.Join(c.dir, old)
		// Under the other name a part of it is not taken for a checkpoint.
		if err := errors.Join(disk.Rename(path, path+unfinishedSuffix), disk.RemoveAll(path+unfinishedSuffix)); err != nil {
			return fmt.Errorf("removing an old checkpoint: %w", err)
		}
	}
	return nil
}

// place writes beside the target and names it last. Every byte is written and summed up once, every file synced once.
func (c *checkpoints) place(target string, tensors safetensors.Tensors, metrics, state []byte, read chan<- struct{}) error {
	temporary := target + unfinishedSuffix
	f := folder{dir: temporary, marks: map[string]fileMark{}}
	err := errors.Join(disk.RemoveAll(temporary), disk.MkdirAll(c.dir))
	if err == nil {
		err = disk.Mkdir(temporary)
	}
	if err == nil {
		err = f.write(tensorsFile, func(w io.Writer) error { return safetensors.Write(w, tensors, nil) })
	}
	close(read)
	if err == nil {
		err = f.writeBytes(MetricsFile, metrics)
	}
	if err == nil {
		err = f.writeBytes(stateFile, state)
	}
	if err == nil {
		err = f.seal(c.environment)
	}
	if err == nil {
		err = disk.Rename(temporary, target)
	}
	if err != nil {
		return errors.Join(err, disk.RemoveAll(temporary))
	}
	return disk.SyncDir(c.dir)
}
