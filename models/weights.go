package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"metalora/models/safetensors"
	"metalora/pipeline/confined"
)

// weights are the open files of a model's folder and what their headers say: the configuration is held against that before
// any data is read, so that a file takes no more memory than the configuration asks for.
type weights struct {
	name   string // of the one file, or of the index
	files  []*safetensors.File
	of     map[string]*safetensors.File // by tensor
	shapes safetensors.Tensors          // of floats, without data
	others []string                     // not of floats: buffers such as position_ids
}

// openWeights opens one file or all shards. No name and no link among them leads out of the folder.
func openWeights(dir string) (*weights, error) {
	folder, err := confined.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	w := &weights{name: weightsFile, of: map[string]*safetensors.File{}, shapes: safetensors.Tensors{}}
	err = w.open(folder, weightsFile)
	if !missing(err) {
		return w.orNone(err)
	}
	w.name = indexFile
	shards, err := readIndex(dir, folder)
	if missing(err) {
		return nil, fmt.Errorf("neither %s nor %s is there", weightsFile, indexFile)
	}
	for i := 0; err == nil && i < len(shards); i++ {
		err = w.open(folder, shards[i])
	}
	return w.orNone(err)
}

// orNone closes what is open where something went wrong.
func (w *weights) orNone(err error) (*weights, error) {
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *weights) close() {
	for _, file := range w.files {
		file.Close() // it was only read
	}
}

// open takes in a file's header.
func (w *weights) open(folder *confined.Folder, name string) error {
	file, err := safetensors.OpenIn(folder, name)
	if err != nil {
		return err
	}
	w.files = append(w.files, file)
	for _, info := range file.Infos() {
		if _, twice := w.of[info.Name]; twice {
			return fmt.Errorf("%s: tensor %s is in another shard too", name, info.Name)
		}
		w.of[info.Name] = file
		if info.Floating() {
			w.shapes[info.Name] = safetensors.Tensor{Shape: info.Shape}
		} else {
			w.others = append(w.others, info.Name)
		}
	}
	return nil
}

// fill reads the data of tensors, which have the names that rename gives those of the files, on all cores.
func (w *weights) fill(tensors safetensors.Tensors, rename func(string) string) error {
	var names []string
	for _, name := range w.shapes.Names() {
		if _, used := tensors[rename(name)]; used {
			names = append(names, name)
		}
	}
	read, failed := make([]safetensors.Tensor, len(names)), make([]error, len(names))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(names); i = int(next.Add(1)) - 1 {
				read[i], failed[i] = w.of[names[i]].Tensor(names[i])
			}
		})
	}
	group.Wait()
	for i, name := range names {
		if failed[i] != nil {
			return failed[i] // the first by name, however the cores shared them
		}
		tensors[rename(name)] = read[i]
	}
	return nil
}

// Bounds of an index: one of 1,000 shards with 100,000 tensors has some 10 MB.
const (
	maxIndex        = 16 << 20
	maxIndexEntries = 150_000
)

// readIndex lists the shards of a model. They must be plain names of files in the folder.
func readIndex(dir string, folder *confined.Folder) ([]string, error) {
	data, err := folder.Read(indexFile, maxIndex)
	if err != nil {
		return nil, err
	}
	shards, err := parseIndex(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, indexFile), err)
	}
	return shards, nil
}

// parseIndex reads model.safetensors.index.json: {"weight_map": {tensor: file, …}}.
func parseIndex(data []byte) ([]string, error) {
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := confined.CheckJSON(data, maxIndexEntries); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, err
	}
	shards := map[string]bool{}
	for _, tensor := range slices.Sorted(maps.Keys(index.WeightMap)) { // sorted, so that an error is always the same
		shard := index.WeightMap[tensor]
		if err := checkShard(shard); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", tensor, err)
		}
		shards[shard] = true
	}
	if len(shards) == 0 {
		return nil, errors.New("it names no file")
	}
	return slices.Sorted(maps.Keys(shards)), nil
}

func checkShard(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\:`) || !filepath.IsLocal(name) {
		return fmt.Errorf("%q is no plain file name in the model's folder", name)
	}
	if !strings.HasSuffix(name, ".safetensors") {
		return fmt.Errorf("its file %q is no .safetensors file", name)
	}
	return nil
}
