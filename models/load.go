package models

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"metalora/models/exported"
	"metalora/models/safetensors"
)

// Folder is a model as it lies on the disk.
type Folder struct {
	Dir          string
	Architecture Architecture
	Tensors      safetensors.Tensors // every parameter of the encoder, and of the head where HasHead; poolers that are there
	HasHead      bool                // the head is whole
	Unused       []string            // tensors of the files that the graph has no use for: a language-model head
	Names        []exported.Name     // of an .onnx file: what each tensor is called there
	Notes        []string            // what a person should know of how an .onnx file was understood
}

const (
	configFile  = "config.json"
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// Load reads a model: an .onnx file, the folder of a retrained one, or a Hugging Face folder. Such a folder has config.json
// and model.safetensors, or shards with their index. Names of a bare encoder get their prefix. A parameter that is missing
// or of another shape than the configuration says is an error.
func Load(dir string) (*Folder, error) {
	switch {
	case IsONNX(dir):
		return loadExport(dir)
	case hasGraph(dir):
		return loadRetrained(dir)
	}
	config, err := ReadConfig(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir, Architecture: config, Tensors: safetensors.Tensors{}}
	if err := f.load(config); err != nil {
		return nil, fmt.Errorf("loading the model %s: %w", dir, err)
	}
	return f, nil
}

// load compares what the files' headers say with the configuration, and then reads what the graph has a use for.
func (f *Folder) load(config Config) error {
	w, err := openWeights(f.Dir)
	if err != nil {
		return err
	}
	defer w.close()
	if err := f.take(w.shapes, config.fullName); err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	f.Unused = slices.Sorted(slices.Values(append(f.Unused, w.others...)))
	return w.fill(f.Tensors, config.fullName)
}

// ReadArchitecture reads what a model computes and leaves its weights alone.
func ReadArchitecture(path string) (Architecture, error) {
	switch {
	case IsONNX(path):
		f, err := loadExport(path)
		if err != nil {
			return nil, err
		}
		return f.Architecture, nil
	case hasGraph(path):
		return loadGraph(path)
	}
	config, err := ReadConfig(filepath.Join(path, configFile))
	if err != nil {
		return nil, err
	}
	return config, nil
}

// take picks the configuration's parameters out of a file's tensors.
func (f *Folder) take(all safetensors.Tensors, rename func(string) string) error {
	named := safetensors.Tensors{}
	for name, t := range all {
		full := rename(name)
		if _, twice := named[full]; twice {
			return fmt.Errorf("tensor %s is there twice, with and without its prefix", full)
		}
		named[full] = t
	}
	partly := anyHead(f.Architecture, named)
	for _, p := range f.Architecture.Parameters() {
		t, ok := named[p.Name]
		if !ok && p.Head && (p.Pooler || !partly) {
			continue
		}
		if !ok {
			return fmt.Errorf("tensor %s is missing (%v by config.json)", p.Name, p.Shape)
		}
		if !slices.Equal(t.Shape, p.Shape) {
			return fmt.Errorf("tensor %s has shape %v, want %v by config.json", p.Name, t.Shape, p.Shape)
		}
		f.Tensors[p.Name] = t
	}
	for _, name := range named.Names() {
		if _, used := f.Tensors[name]; !used {
			f.Unused = append(f.Unused, name)
		}
	}
	f.HasHead = HasHead(f.Architecture, f.Tensors)
	return nil
}

// fullName gives a bare encoder's tensor its prefix, and one that was named by the first release of BERT its name of today.
func (c Config) fullName(name string) string {
	for old, now := range map[string]string{"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"} {
		if start, ok := strings.CutSuffix(name, old); ok {
			name = start + now
		}
	}
	module, _, _ := strings.Cut(name, ".")
	if slices.Contains([]string{"embeddings", "encoder", "transformer", "pooler"}, module) {
		return c.family().prefix + "." + name
	}
	return name
}

// anyHead tells whether any tensor of the head is there, poolers apart: then all must be.
func anyHead(a Architecture, named safetensors.Tensors) bool {
	for _, p := range a.Parameters() {
		if _, ok := named[p.Name]; p.Head && !p.Pooler && ok {
			return true
		}
	}
	return false
}

// missing tells whether an error says that a file is not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
