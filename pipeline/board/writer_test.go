package board

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestWriter: what was written stands in the file, framed and checksummed as TFRecord says, step by step.
func TestWriter(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(dir, 7)
	if err != nil {
		t.Fatal(err)
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	w.Scalar("loss", 8, 0.5)
	w.Text("note", 8, "**bold**")
	w.PNG("figure", 9, picture.Bytes())
	w.Hyperparameters("run", map[string]any{"seed": 1, "rate": 1e-4, "method": "sr", "mixed": true})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var steps []int64
	events := records(t, data)
	for _, e := range events {
		steps = append(steps, int64(number(t, e, eventStep)))
	}
	if !slices.Equal(steps, []int64{0, 7, 8, 8, 9, 0}) {
		t.Errorf("steps %v", steps)
	}
	if v := field(t, events[0], eventVersion); string(v) != "brain.Event:2" {
		t.Errorf("version %q", v)
	}
	if number(t, field(t, events[1], eventSession), 1) != 1 {
		t.Error("no start of a session")
	}
	loss := field(t, field(t, events[2], eventSummary), 1)
	if string(field(t, loss, 1)) != "loss" || math.Float32frombits(uint32(number(t, loss, 2))) != 0.5 {
		t.Errorf("loss: % x", loss)
	}
	figure := field(t, field(t, field(t, events[4], eventSummary), 1), 4)
	if number(t, figure, 1) != 2 || number(t, figure, 2) != 3 || !bytes.Equal(field(t, figure, 4), picture.Bytes()) {
		t.Errorf("figure: % x", figure)
	}
}

// TestWriterFails: a failure is kept for the end, and a writer that is not there takes everything.
func TestWriterFails(t *testing.T) {
	w, err := Create(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	w.file.Close()
	w.Scalar("loss", 1, 1)
	if err := w.Close(); err == nil {
		t.Error("no error of a file that is closed")
	}
	bad, err := Create(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	bad.PNG("figure", 0, []byte("no picture"))
	if err := bad.Close(); err == nil {
		t.Error("no error of a picture that is none")
	}
	var none *Writer
	none.Scalar("loss", 1, 1)
	none.PNG("figure", 1, nil)
	none.Text("note", 1, "")
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}

// records takes a file apart and checks every checksum.
func records(t *testing.T, data []byte) [][]byte {
	t.Helper()
	unmask := func(x uint32) uint32 { x -= 0xa282ead8; return x<<15 | x>>17 }
	check := func(data, sum []byte) {
		t.Helper()
		if crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) != unmask(binary.LittleEndian.Uint32(sum)) {
			t.Fatal("a checksum is wrong")
		}
	}
	var all [][]byte
	for len(data) > 0 {
		check(data[:8], data[8:12])
		end := 12 + int(binary.LittleEndian.Uint64(data))
		check(data[12:end], data[end:end+4])
		all, data = append(all, data[12:end]), data[end+4:]
	}
	return all
}

// field is the first field of that number, which has a length.
func field(t *testing.T, m []byte, number protowire.Number) []byte {
	t.Helper()
	for len(m) > 0 {
		n, kind, size := protowire.ConsumeTag(m)
		m = m[size:]
		size = protowire.ConsumeFieldValue(n, kind, m)
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		if n == number && kind == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(m)
			return v
		}
		m = m[size:]
	}
	t.Fatalf("no field %d", number)
	return nil
}

// number is the first field of that number, an integer or the bits of a float.
func number(t *testing.T, m []byte, which protowire.Number) uint64 {
	t.Helper()
	for len(m) > 0 {
		n, kind, size := protowire.ConsumeTag(m)
		m = m[size:]
		size = protowire.ConsumeFieldValue(n, kind, m)
		if n == which {
			switch kind {
			case protowire.VarintType:
				v, _ := protowire.ConsumeVarint(m)
				return v
			case protowire.Fixed32Type:
				v, _ := protowire.ConsumeFixed32(m)
				return uint64(v)
			}
		}
		m = m[size:]
	}
	t.Fatalf("no number %d", which)
	return 0
}
