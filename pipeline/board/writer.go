package board

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Writer writes one event file. Nothing depends on what it writes, so that a failure stops no work: the first one is kept for
// [Writer.Close], and what comes after it is dropped. A nil Writer drops everything. It is not safe for concurrent use.
type Writer struct {
	file    *os.File
	out     *bufio.Writer
	flushed time.Time
	err     error
}

// flushEvery is how long a reader may wait for what has happened.
const flushEvery = 5 * time.Second

// Create begins an event file of its own in a folder. from is the step that the work begins at: whatever other files of the
// folder have of later steps did not last, as after a crash.
func Create(dir string, from int) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("writing events: %w", err)
	}
	now := time.Now()
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	name := fmt.Sprintf("events.out.tfevents.%d.%09d.%s.%d", now.Unix(), now.Nanosecond(), filepath.Base(host), os.Getpid())
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("writing events: %w", err)
	}
	w := &Writer{file: file, out: bufio.NewWriter(file), flushed: now}
	w.event(0, message(nil).text(eventVersion, "brain.Event:2"))
	if from > 0 {
		w.event(from, message(nil).bytes(eventSession, sessionStart()))
	}
	return w, nil
}

// Scalar is a number at a step.
func (w *Writer) Scalar(tag string, step int, x float64) { w.summary(step, scalar(tag, x)) }

// Text is Markdown at a step.
func (w *Writer) Text(tag string, step int, markdown string) { w.summary(step, text(tag, markdown)) }

// PNG is a picture at a step.
func (w *Writer) PNG(tag string, step int, data []byte) {
	if w == nil {
		return
	}
	size, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		w.fail(fmt.Errorf("picture %s: %w", tag, err))
		return
	}
	w.summary(step, figure(tag, size.Width, size.Height, data))
}

// Hyperparameters are what a run was made with: numbers, texts and truths by name.
func (w *Writer) Hyperparameters(run string, values map[string]any) {
	w.summary(0, hyperparameters(run, seconds(time.Now()), slices.Sorted(maps.Keys(values)), values))
}

func (w *Writer) summary(step int, s message) { w.event(step, message(nil).bytes(eventSummary, s)) }

// event appends a record with the fields given.
func (w *Writer) event(step int, fields message) {
	if w == nil || w.err != nil {
		return
	}
	now := time.Now()
	e := message(nil).double(eventTime, seconds(now)).int(eventStep, int64(step))
	_, err := w.out.Write(record(append(e, fields...)))
	if err == nil && now.Sub(w.flushed) >= flushEvery {
		w.flushed, err = now, w.out.Flush()
	}
	w.fail(err)
}

func (w *Writer) fail(err error) {
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("writing events: %w", err)
	}
}

// Close ends the file and returns what went wrong first.
func (w *Writer) Close() error {
	if w == nil {
		return nil
	}
	w.fail(errors.Join(w.out.Flush(), w.file.Close()))
	return w.err
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

// record frames data as TFRecord does: its length, the length's checksum, the data, the data's checksum.
func record(data []byte) []byte {
	r := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	r = binary.LittleEndian.AppendUint32(r, masked(r))
	r = append(r, data...)
	return binary.LittleEndian.AppendUint32(r, masked(data))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the CRC-32C, turned and shifted so that checksums of data that hold checksums stay good ones.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}
