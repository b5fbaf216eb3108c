package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
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
	config, err := ReadConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	all, err := readWeights(dir)
	if err != nil {
		return nil, fmt.Errorf("loading the model %s: %w", dir, err)
	}
	f := &Folder{Dir: dir, Architecture: config, Tensors: safetensors.Tensors{}}
	if err := f.take(all.tensors, config.fullName); err != nil {
		return nil, fmt.Errorf("loading the model %s: %w", dir, err)
	}
	f.Unused = slices.Sorted(slices.Values(append(f.Unused, all.others...)))
	return f, nil
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
	config, err := ReadConfig(filepath.Join(path, "config.json"))
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

// weights is what the files of a folder hold.
type weights struct {
	tensors safetensors.Tensors
	others  []string // not of floats: buffers such as position_ids
}

// add takes over the tensors of a file and closes it.
func (w *weights) add(file *safetensors.File, name string) error {
	defer file.Close()
	part, err := file.Tensors()
	if err != nil {
		return err
	}
	for _, info := range file.Infos() {
		if _, twice := w.tensors[info.Name]; twice {
			return fmt.Errorf("%s: tensor %s is in another shard too", name, info.Name)
		}
		if !info.Floating() {
			w.others = append(w.others, info.Name)
		}
	}
	maps.Copy(w.tensors, part)
	return nil
}

// readWeights reads one file or all shards.
func readWeights(dir string) (*weights, error) {
	w := &weights{tensors: safetensors.Tensors{}}
	file, err := safetensors.Open(filepath.Join(dir, weightsFile))
	if err == nil {
		return w, w.add(file, weightsFile)
	}
	if !missing(err) {
		return nil, err
	}
	shards, err := readIndex(dir)
	if missing(err) {
		return nil, fmt.Errorf("neither %s nor %s is there", weightsFile, indexFile)
	}
	if err != nil {
		return nil, err
	}
	return w, w.addShards(dir, shards)
}

// addShards reads the files that an index names. Opened through an os.Root, no name and no link among them leads out
// of the folder.
func (w *weights) addShards(dir string, shards []string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range shards {
		// A named pipe would block in Open until someone writes to it.
		if stat, err := root.Stat(name); err != nil {
			return err
		} else if !stat.Mode().IsRegular() {
			return fmt.Errorf("%s: not a regular file", name)
		}
		file, err := root.Open(name)
		if err != nil {
			return err
		}
		shard, err := safetensors.NewFile(file, name)
		if err != nil {
			return err
		}
		if err := w.add(shard, name); err != nil {
			return err
		}
	}
	return nil
}

// readIndex lists the shards of a model. They must be plain names of files in the folder.
func readIndex(dir string) ([]string, error) {
	path := filepath.Join(dir, indexFile)
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	shards := map[string]bool{}
	for _, tensor := range slices.Sorted(maps.Keys(index.WeightMap)) { // sorted, so that an error is always the same
		shard := index.WeightMap[tensor]
		if err := checkShard(shard); err != nil {
			return nil, fmt.Errorf("reading %s: tensor %s: %w", path, tensor, err)
		}
		shards[shard] = true
	}
	if len(shards) == 0 {
		return nil, fmt.Errorf("reading %s: it names no file", path)
	}
	return slices.Sorted(maps.Keys(shards)), nil
}

func checkShard(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\:`) || !filepath.IsLocal(name) {
		return fmt.Errorf("%q is no plain file name in the model's folder", name)
	}
	if !strings.HasSuffix(name, ".safetensors") {
		return errors.New("its file " + name + " is no .safetensors file")
	}
	return nil
}

// missing tells whether an error says that a file is not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
