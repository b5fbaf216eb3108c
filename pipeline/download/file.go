package download

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// File is a file to fetch.
type File struct {
	URL  string
	Path string // where it goes, whole
	Size int64  // bytes; 0 where that is not known
	Sum  Sum    // what its bytes have to give
}

// Part is where a file's bytes gather.
func (f File) Part() string { return f.Path + ".incomplete" }

// ErrBytes says that a server sent, twice, bytes other than those it announced.
var ErrBytes = errors.New("the bytes are not those that were announced")

// Fetch brings a file to its place. progress, where not nil, is told of the bytes there are: what an earlier attempt left at
// first, then what comes in; a negative number takes back what was thrown away.
func (c *Client) Fetch(ctx context.Context, f File, progress func(n int64)) error {
	if progress == nil {
		progress = func(int64) {}
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o777); err != nil {
		return &localError{err}
	}
	resumed := size(f.Part()) > 0
	err := c.once(ctx, f, progress)
	if errors.Is(err, ErrBytes) && resumed {
		if c.Note != nil {
			c.Note(fmt.Sprintf("the part of %s that was there does not fit: starting anew", filepath.Base(f.Path)))
		}
		err = c.once(ctx, f, progress)
	}
	return err
}

// once gathers the bytes, checks them and moves the file to its place. A part whose bytes are wrong is removed.
func (c *Client) once(ctx context.Context, f File, progress func(int64)) error {
	progress(size(f.Part()))
	err := c.persist(ctx, func() (bool, error) {
		before := size(f.Part())
		err := c.gather(ctx, f, progress)
		return size(f.Part()) > before, err
	})
	if err != nil {
		return err
	}
	if err := f.check(f.Part()); err != nil {
		progress(-size(f.Part()))
		return errors.Join(err, os.Remove(f.Part()))
	}
	if err := os.Rename(f.Part(), f.Path); err != nil {
		return &localError{err}
	}
	return nil
}

// gather asks for the bytes that the part lacks and appends them.
func (c *Client) gather(ctx context.Context, f File, progress func(int64)) error {
	part, err := os.OpenFile(f.Part(), os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return &localError{err}
	}
	defer part.Close()
	have, err := part.Seek(0, io.SeekEnd)
	if err != nil {
		return &localError{err}
	}
	if f.Size > 0 && have == f.Size {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, have, err := c.from(ctx, f, part, have, progress)
	if err != nil {
		return err
	}
	defer body.Close()
	if f.Size > 0 {
		limited := io.LimitReader(body, f.Size-have+1) // one byte too many shows that there are too many
		body = struct {
			io.Reader
			io.Closer
		}{limited, body}
	}
	in := &watched{body, time.AfterFunc(c.stall(), func() { cancel(fmt.Errorf("nothing came for %v", c.stall())) }), c.stall()}
	defer in.timer.Stop()
	n, err := io.Copy(counted{part, progress}, in)
	if err == nil && f.Size > 0 && have+n < f.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		return local(part.Sync())
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return &localError{err}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("after %d bytes of %s: %w", have+n, shown(f.URL), err)
}

func (c *Client) stall() time.Duration { return cmp.Or(c.Stall, time.Minute) }

// from asks for a file's bytes from an offset on, and gives the offset that they start at: 0 where the server does not go
// on in the middle, and the part is then emptied.
func (c *Client) from(ctx context.Context, f File, part *os.File, have int64, progress func(int64)) (io.ReadCloser, int64, error) {
	header := http.Header{}
	if have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	a, err := c.ask(ctx, http.MethodGet, f.URL, header)
	if err != nil {
		return nil, 0, err
	}
	if have > 0 && a.StatusCode == http.StatusPartialContent && strings.HasPrefix(a.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)) {
		return a.Body, have, nil
	}
	if a.StatusCode == http.StatusRequestedRangeNotSatisfiable || a.StatusCode == http.StatusPartialContent {
		a.Body.Close()
		err = errors.New("the server has no bytes from there on")
	} else if err := refused(a, f.URL); err != nil {
		return nil, 0, err
	}
	if have == 0 {
		return a.Body, 0, err
	}
	progress(-have)
	_, seek := part.Seek(0, io.SeekStart)
	if failed := errors.Join(part.Truncate(0), seek); failed != nil {
		a.Body.Close()
		return nil, 0, &localError{failed}
	}
	return a.Body, 0, err
}

// watched resets a timer with each read, so that a silent body ends.
type watched struct {
	io.Reader
	timer *time.Timer
	stall time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.timer.Reset(w.stall)
	return n, err
}

// counted tells how much was written.
type counted struct {
	io.Writer
	progress func(int64)
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.progress(int64(n))
	return n, err
}

func local(err error) error {
	if err == nil {
		return nil
	}
	return &localError{err}
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
