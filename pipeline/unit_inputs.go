package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"metalora/models"
	"metalora/onnx"
	"metalora/pipeline/confined"
	"metalora/pipeline/fault"
)

// Inputs are the contents of an experiment's input files, as SHA-256 sums in hex; empty where there is no such file.
type Inputs struct {
	Train, TrainPersonas string
	Valid, ValidPersonas string
	Model, Tokenizer     string
}

// ReadInputs sums up the files that the experiment names. A file that is missing is the input's fault.
func ReadInputs(c *Config) (*Inputs, error) {
	in := &Inputs{}
	type item struct {
		key, path string
		sum       *string
		read      func(string) (string, error)
	}
	var items []item
	for _, name := range []string{c.Tasks.Retrain.File, c.Tasks.Test.File} {
		dialogues, personas := &in.Train, &in.TrainPersonas
		if name == FileValid {
			dialogues, personas = &in.Valid, &in.ValidPersonas
		}
		file, mapping := c.File(name)
		if mapping == NoPersonas {
			mapping = ""
		}
		items = append(items, item{"data." + name, file, dialogues, fileSum},
			item{"data." + name + "_personas", mapping, personas, fileSum})
	}
	items = append(items, item{"model.path", c.Model.Path, &in.Model, located(modelSum)},
		item{"model.tokenizer", c.Model.Tokenizer, &in.Tokenizer, located(tokenizerSum)})
	for _, i := range items {
		if i.path == "" {
			continue
		}
		sum, err := i.read(i.path)
		if err != nil {
			hint := ""
			switch i.key {
			case "data.train_personas", "data.valid_personas":
				hint = fmt.Sprintf(" (without a persona map, set %s: %s)", i.key, NoPersonas)
			case "data.train", "data.valid":
				hint = " (`metalora data pull convai2` fetches ConvAI2; then set it to convai2)"
			}
			return nil, fault.Input(fmt.Errorf("%s: reading %s: %w%s", c.origins.Of(i.key), i.key, err, hint))
		}
		*i.sum = sum
	}
	return in, nil
}

// sums remembers the sums of files for as long as the program runs; a file that changed in size or time is read again.
var sums struct {
	sync.Mutex
	known map[fileState]string
}

type fileState struct {
	path string
	size int64
	time time.Time
}

// fileSum is the SHA-256 of the content of a file that a person named.
func fileSum(path string) (string, error) {
	file, err := confined.Open(path)
	if err != nil {
		return "", err
	}
	return contentSum(file, path)
}

// contentSum is the SHA-256 of an open file's content. It closes the file.
func contentSum(file *os.File, path string) (string, error) {
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	state := fileState{path, info.Size(), info.ModTime()}
	sums.Lock()
	sum, ok := sums.known[state]
	sums.Unlock()
	if ok {
		return sum, nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	sums.Lock()
	defer sums.Unlock()
	if sums.known == nil {
		sums.known = map[fileState]string{}
	}
	sums.known[state] = sum
	return sum, nil
}

// What of a folder counts: the files that weights, configuration and tokenizer are read from, whatever else lies there.
var (
	modelFiles     = []string{"config.json", "*.safetensors", "*.safetensors.index.json", "graph.onnx"}
	tokenizerFiles = []string{"vocab.json", "merges.txt", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
)

func modelSum(path string) (string, error) {
	if !models.IsONNX(path) {
		return folderSum(path, modelFiles)
	}
	hash := sha256.New()
	sum, err := fileSum(path)
	if err != nil {
		return "", err
	}
	addSum(hash, sum, filepath.Base(path))
	apart, err := onnx.DataFiles(path)
	if err != nil {
		return "", err
	}
	if err := addSums(hash, filepath.Dir(path), apart); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func tokenizerSum(path string) (string, error) { return folderSum(path, tokenizerFiles) }

// folderSum is the SHA-256 over names and sums of those files of a folder that match a pattern.
func folderSum(dir string, patterns []string) (string, error) {
	folder, err := confined.OpenFolder(dir)
	if err != nil {
		return "", err
	}
	defer folder.Close()
	all, err := folder.Names()
	if err != nil {
		return "", err
	}
	var files []string
	for _, pattern := range patterns {
		for _, name := range all {
			if matched, err := filepath.Match(pattern, name); err == nil && matched {
				files = append(files, name)
			}
		}
	}
	if len(files) == 0 {
		return "", fmt.Errorf("%s holds none of %v", dir, patterns)
	}
	hash := sha256.New()
	if err := addSums(hash, dir, files); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// addSums adds names and sums of files in a folder, out of which no link leads.
func addSums(hash hash.Hash, dir string, names []string) error {
	folder, err := confined.OpenFolder(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	for _, name := range names {
		file, err := folder.Open(name)
		if err != nil {
			return err
		}
		sum, err := contentSum(file, filepath.Join(dir, name))
		if err != nil {
			return err
		}
		addSum(hash, sum, filepath.Base(name))
	}
	return nil
}

func addSum(hash hash.Hash, sum, name string) { fmt.Fprintf(hash, "%s %s\n", sum, name) }
