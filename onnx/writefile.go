package onnx

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/proto"

	"metalora/onnx/onnxpb"
)

// DataSuffix follows a model's file name in the name of the file with its weights, where they do not fit in the former.
const DataSuffix = ".data"

// WriteFile writes the model as an ONNX file: whole or not at all, by way of a file beside it. A model that is larger than
// the 2 GB that such a file can hold has its weights in a second file beside the first, named path + [DataSuffix].
func (m *Model) WriteFile(path string) error {
	if err := m.writeFile(path, maxFile); err != nil {
		return fmt.Errorf("writing ONNX file %s: %w", path, err)
	}
	return nil
}

// writeFile keeps weights outside a file that would be larger than limit.
func (m *Model) writeFile(path string, limit int) error {
	p, err := writeModel(m)
	if err != nil {
		return err
	}
	file, err := encode(p)
	if err != nil {
		return err
	}
	if file.size <= limit {
		return placeFiles([]string{path}, []*message{file})
	}
	return m.writeApart(path, limit)
}

// writeApart writes the model's weights into a second file. One that is there without a model of its name is another's.
func (m *Model) writeApart(path string, limit int) error {
	_, noModel := os.Stat(path)
	if _, err := os.Stat(path + DataSuffix); err == nil && noModel != nil {
		return fmt.Errorf("%s exists, and may hold the weights of another model", path+DataSuffix)
	}
	p, err := writeModel(m)
	if err != nil {
		return err
	}
	data := moveWeights(p.Graph.Initializer, filepath.Base(path)+DataSuffix)
	file, err := encode(p)
	if err != nil {
		return err
	}
	if file.size > limit {
		return fmt.Errorf("without its weights the model takes %d bytes, more than an ONNX file can hold", file.size)
	}
	return placeFiles([]string{path + DataSuffix, path}, []*message{data, file})
}

// Small tensors stay in the model's file, where shapes and axes are looked for. The others begin at multiples of a page,
// so that they can be mapped into memory.
const (
	smallTensor = 1024
	pageSize    = 4096
)

// moveWeights takes the data out of tensors, tells them where they find it, and returns that file's content.
func moveWeights(tensors []*onnxpb.TensorProto, location string) *message {
	data := &message{}
	for _, t := range tensors {
		if len(t.RawData) < smallTensor {
			continue
		}
		data.add(make([]byte, -data.size&(pageSize-1)))
		entry := func(key, value string) {
			t.ExternalData = append(t.ExternalData, &onnxpb.StringStringEntryProto{Key: proto.String(key), Value: proto.String(value)})
		}
		entry("location", location)
		entry("offset", strconv.Itoa(data.size))
		entry("length", strconv.Itoa(len(t.RawData)))
		data.add(t.RawData)
		t.RawData, t.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
	}
	return data
}

// placeFiles writes files of one folder beside their places, and gives them their names once all of them are whole.
func placeFiles(paths []string, contents []*message) error {
	var written []string
	defer func() {
		for _, name := range written {
			os.Remove(name) // of what was not placed
		}
	}()
	for i, path := range paths {
		name, err := writeBeside(path, contents[i])
		if err != nil {
			return err
		}
		written = append(written, name)
	}
	for _, path := range paths {
		if err := os.Rename(written[0], path); err != nil {
			return err
		}
		written = written[1:]
	}
	return syncDir(filepath.Dir(paths[0]))
}

// writeBeside writes a file under a name of its own in the folder of path.
func writeBeside(path string, content *message) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	for _, piece := range content.pieces {
		if _, err := f.Write(piece); err != nil {
			return "", err
		}
	}
	if err := f.Chmod(0o644); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// syncDir makes a rename in the folder outlive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
