package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"metalora/pipeline/disk"
)

// Save writes tensors as F32, sorted by name, so that equal tensors make equal files. The file appears at path whole
// or not at all (see [disk.Replace]).
func Save(path string, t Tensors, metadata map[string]string) error {
	if _, err := encodeHeader(t, metadata); err != nil { // before there is a file
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return disk.Replace(path, func(w io.Writer) error { return Write(w, t, metadata) })
}

// Write is [Save] to a stream.
func Write(w io.Writer, t Tensors, metadata map[string]string) error {
	header, err := encodeHeader(t, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	piece := make([]byte, 0, 1<<20)
	for _, name := range t.Names() {
		if err := writeFloats(w, t[name].Data, piece); err != nil {
			return err
		}
	}
	return nil
}

func writeFloats(w io.Writer, data []float32, piece []byte) error {
	for len(data) > 0 {
		piece = piece[:0]
		n := min(len(data), cap(piece)/4)
		for _, x := range data[:n] {
			piece = binary.LittleEndian.AppendUint32(piece, math.Float32bits(x))
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// encodeHeader makes everything that stands before the data, its length included. Blanks at the end let the data
// start at a multiple of 8 bytes, as the specification wants.
func encodeHeader(t Tensors, metadata map[string]string) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 8))
	out.WriteByte('{')
	if len(metadata) > 0 {
		if err := writeField(out, "__metadata__", metadata); err != nil {
			return nil, err
		}
	}
	end := 0
	for _, name := range t.Names() {
		x := t[name]
		if n, err := Elements(x.Shape); err != nil || n != len(x.Data) {
			return nil, fmt.Errorf("tensor %q: shape %v does not fit %d elements", name, x.Shape, len(x.Data))
		}
		if name == "__metadata__" || !utf8.ValidString(name) {
			return nil, fmt.Errorf("tensor %q: the format has no room for this name", name)
		}
		begin := end
		end += 4 * len(x.Data)
		entry := struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{"F32", append([]int{}, x.Shape...), [2]int{begin, end}}
		if err := writeField(out, name, entry); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	for out.Len()%8 != 0 {
		out.WriteByte(' ')
	}
	header := out.Bytes()
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header, nil
}

// writeField appends a key and its value to a JSON object that is open.
func writeField(out *bytes.Buffer, key string, value any) error {
	if last := out.Bytes()[out.Len()-1]; last != '{' {
		out.WriteByte(',')
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(key); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the encoder ends each value with a newline
	out.WriteByte(':')
	if err := enc.Encode(value); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1)
	return nil
}
