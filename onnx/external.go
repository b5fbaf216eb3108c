package onnx

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"metalora/onnx/onnxpb"
	"metalora/pipeline/confined"
)

// external says where a tensor's data lies when it is not in the model's own file.
type external struct {
	location string // path relative to the model's folder
	offset   int64
	length   int64 // -1: as long as the tensor
}

// fetch reads size bytes of external data.
type fetch func(e external, size int64) ([]byte, error)

// external reads a tensor's data from the file that the entries name.
func (r reader) external(t *Tensor, entries []*onnxpb.StringStringEntryProto) ([]byte, error) {
	e, err := readExternal(entries)
	if err != nil {
		return nil, fmt.Errorf("external data: %w", err)
	}
	n, err := Elements(t.Dims)
	if err != nil {
		return nil, err
	}
	size, ok := multiply(n, int64(t.Type.Size()))
	if !ok || e.length >= 0 && e.length != size {
		return nil, fmt.Errorf("external data of %d bytes, want %d %v elements of shape %d", e.length, n, t.Type, t.Dims)
	}
	return r.fetch(e, size)
}

func readExternal(entries []*onnxpb.StringStringEntryProto) (external, error) {
	e := external{length: -1}
	for _, entry := range entries {
		var err error
		switch entry.GetKey() {
		case "location":
			e.location = entry.GetValue()
		case "offset":
			e.offset, err = strconv.ParseInt(entry.GetValue(), 10, 64)
		case "length":
			e.length, err = strconv.ParseInt(entry.GetValue(), 10, 64)
		}
		if err != nil || e.offset < 0 || e.length < -1 {
			return e, fmt.Errorf("its %s is %q", entry.GetKey(), entry.GetValue())
		}
	}
	if e.location == "" {
		return e, errors.New("it names no file")
	}
	return e, nil
}

// beside is the folder of a model's file, and what has been read from the files there. Tensors that share a span share
// its bytes, and spans may not add up to more than the file they lie in: many overlapping ones would fill the memory.
type beside struct {
	path   string
	folder *confined.Folder // nil until data is looked for
	spans  map[span][]byte
	taken  map[string]int64 // bytes read, by location
}

// span is a piece of a file.
type span struct {
	location     string
	offset, size int64
}

func (d *beside) close() {
	if d.folder != nil {
		d.folder.Close() // it was only read
	}
}

// read takes size bytes from a regular file inside the folder; nothing a path or a link says leads out of it.
// The file's length is checked before memory is taken.
func (d *beside) read(e external, size int64) ([]byte, error) {
	s := span{filepath.Clean(e.location), e.offset, size}
	if data, ok := d.spans[s]; ok {
		return data, nil
	}
	data, err := d.readSpan(s)
	if err != nil {
		return nil, fmt.Errorf("external data: %w", err)
	}
	d.spans[s] = data
	d.taken[s.location] += size
	return data, nil
}

func (d *beside) readSpan(s span) ([]byte, error) {
	if d.folder == nil {
		var err error
		if d.folder, err = confined.OpenFolder(d.path); err != nil {
			return nil, err
		}
	}
	f, err := d.folder.Open(s.location)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if s.offset > math.MaxInt64-s.size || info.Size() < s.offset+s.size {
		return nil, fmt.Errorf("%s has %d bytes, want %d from byte %d on", s.location, info.Size(), s.size, s.offset)
	}
	if d.taken[s.location] > info.Size()-s.size {
		return nil, fmt.Errorf("tensors overlap in %s", s.location)
	}
	data := make([]byte, s.size)
	if _, err := io.ReadFull(io.NewSectionReader(f, s.offset, s.size), data); err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.location, err)
	}
	return data, nil
}

// DataFiles lists the files that hold data of an ONNX file's initializers, by their paths below its folder, each once. They
// are not opened; names that lead out of the folder, which [ReadFile] refuses, are left out.
func DataFiles(path string) ([]string, error) {
	file, err := confined.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading ONNX file %s: %w", path, err)
	}
	defer file.Close()
	files, err := dataFiles(file)
	if err != nil {
		return nil, fmt.Errorf("reading ONNX file %s: %w", path, err)
	}
	return files, nil
}

func dataFiles(file *os.File) ([]string, error) {
	data, err := readBytes(file)
	if err != nil {
		return nil, err
	}
	p, err := decode(data)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, t := range p.GetGraph().GetInitializer() {
		e, err := readExternal(t.ExternalData)
		name := filepath.Clean(e.location)
		if err == nil && filepath.IsLocal(e.location) && !slices.Contains(files, name) {
			files = append(files, name)
		}
	}
	return files, nil
}
