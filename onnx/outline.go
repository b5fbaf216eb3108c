package onnx

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// checkOutline walks through the fields of an encoded model where it lies, down to the tensors of its graph, and skips over
// their data. What cannot be a model is refused before any memory is taken for it: a file of holes costs nothing to make, and
// its whole size in memory to read.
func checkOutline(file io.ReaderAt, size int64) error {
	o := &outline{file: file}
	if err := o.walk(0, size, modelPart); err != nil {
		return fmt.Errorf("decoding protobuf: %w", err)
	}
	return nil
}

// part is a message on the way to the data of tensors: its fields that are messages of this way, by their numbers.
type part map[protowire.Number]part

var (
	tensorPart = part{}
	modelPart  = part{graphField: {initializerField: tensorPart, 1: {5: {5: tensorPart}}}} // nodes, attributes, their tensors
)

// outline is a file seen through a window.
type outline struct {
	file   io.ReaderAt
	window []byte
	start  int64 // of the window
}

// maxHead is more than a field's tag and length, or tag and number, can have; shapes and most names fit too.
const maxHead = 80

// head is what stands at a place: maxHead bytes, or less at the end.
func (o *outline) head(at, end int64) ([]byte, error) {
	if at < o.start || at+maxHead > o.start+int64(len(o.window)) {
		window := make([]byte, 4096)
		n, err := o.file.ReadAt(window, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		o.start, o.window = at, window[:n]
	}
	return o.window[at-o.start : min(at-o.start+maxHead, int64(len(o.window)), end-o.start)], nil
}

// field is one field of a message: bytes lie from from to to.
type field struct {
	number   protowire.Number
	kind     protowire.Type
	value    uint64 // of a varint
	from, to int64
}

// next reads the head of the field at a place.
func (o *outline) next(at, end int64) (f field, err error) {
	head, err := o.head(at, end)
	if err != nil {
		return f, err
	}
	n := 0
	if f.number, f.kind, n = protowire.ConsumeTag(head); n < 0 {
		return f, fmt.Errorf("byte %d: %w", at, protowire.ParseError(n))
	}
	f.from, f.to = at+int64(n), at+int64(n)
	switch head = head[n:]; f.kind {
	case protowire.VarintType, protowire.BytesType:
		if f.value, n = protowire.ConsumeVarint(head); n < 0 {
			return f, fmt.Errorf("byte %d: %w", at, protowire.ParseError(n))
		}
		f.from, f.to = f.from+int64(n), f.from+int64(n)
	case protowire.Fixed32Type:
		f.to += 4
	case protowire.Fixed64Type:
		f.to += 8
	default:
		return f, fmt.Errorf("byte %d: a field of kind %d, which no ONNX file has", at, f.kind)
	}
	if f.kind == protowire.BytesType && f.value <= uint64(end) {
		f.to += int64(f.value)
	}
	if f.to > end || f.kind == protowire.BytesType && f.value > uint64(end) {
		return f, fmt.Errorf("byte %d: field %d ends behind the end", at, f.number)
	}
	return f, nil
}

// walk goes through a message and into those of its parts that lead to data.
func (o *outline) walk(at, end int64, p part) error {
	for at < end {
		f, err := o.next(at, end)
		if err != nil {
			return err
		}
		inner, known := p[f.number]
		switch at = f.to; {
		case !known || f.kind != protowire.BytesType:
		case len(inner) == 0:
			err = o.tensor(f.from, f.to)
		default:
			err = o.walk(f.from, f.to, inner)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Fields of TensorProto.
const (
	dimsField     protowire.Number = 1
	dataTypeField protowire.Number = 2
	nameField     protowire.Number = 8
	locationField protowire.Number = 14
)

// sketch is what an outline shows of a tensor.
type sketch struct {
	name  string // its beginning
	dims  []int64
	kind  DType
	raw   int64 // bytes of raw data; -1: none
	typed int64 // bytes of the lists by type
	apart bool  // its data lies in another file, or its shape is not to be seen
}

// tensor compares the length of a tensor's data with its shape and type.
func (o *outline) tensor(at, end int64) error {
	t := sketch{raw: -1}
	for at < end {
		f, err := o.next(at, end)
		if err == nil {
			err = o.add(&t, f)
		}
		if err != nil {
			return err
		}
		at = f.to
	}
	n, err := Elements(t.dims)
	size, ok := multiply(n, int64(t.kind.Size()))
	switch {
	case t.apart:
		return nil
	case err != nil:
		return fmt.Errorf("tensor %q: %w", t.name, err)
	case t.kind.Size() == 0:
		return fmt.Errorf("tensor %q: elements of type %v are not supported", t.name, t.kind)
	case !ok || t.raw >= 0 && t.raw != size || t.typed/longestElement > n:
		return fmt.Errorf("tensor %q: %d bytes of data, want %d %v elements of shape %d", t.name, max(t.raw, t.typed), n, t.kind, t.dims)
	}
	return nil
}

// maxDims bounds the dimensions of a tensor; engines know eight or so.
const maxDims = 64

// longestElement is how many bytes an element of a list can take.
const longestElement = 10

// add takes in a field of a tensor.
func (o *outline) add(t *sketch, f field) error {
	plain := f.kind == protowire.VarintType
	switch {
	case f.number == dimsField && plain:
		if len(t.dims) == maxDims {
			return fmt.Errorf("byte %d: a tensor of more than %d dimensions", f.from, maxDims)
		}
		t.dims = append(t.dims, int64(f.value))
	case f.number == dataTypeField && plain:
		t.kind = DType(f.value)
	case f.number == locationField && plain:
		t.apart = t.apart || f.value != 0
	case f.kind != protowire.BytesType:
	case f.number == rawDataField:
		t.raw = f.to - f.from
	case f.number == dimsField || f.number == nameField:
		content, err := o.head(f.from, f.to)
		if err != nil {
			return err
		}
		if f.number == nameField {
			t.name = string(content)
			return nil
		}
		t.apart = t.apart || int64(len(content)) < f.to-f.from
		for n := 0; len(content) > 0; content = content[n:] {
			var d uint64
			if d, n = protowire.ConsumeVarint(content); n < 0 {
				t.apart = true
				return nil
			}
			t.dims = append(t.dims, int64(d))
		}
	default:
		t.typed += f.to - f.from
	}
	return nil
}
