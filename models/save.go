package models

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"metalora/models/safetensors"
	"metalora/pipeline/confined"
	"metalora/pipeline/disk"
)

// tokenizerFiles are what a model folder holds of its tokenizer, where it has them.
var tokenizerFiles = []string{"vocab.json", "merges.txt", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}

// Save writes a complete Hugging Face folder: configuration, weights and, where tokenizerDir is not empty, the tokenizer
// files found there. The encoder's tensors all have to be there, and the head's, poolers apart, all or none.
func (c Config) Save(dir string, t safetensors.Tensors, tokenizerDir string) error {
	if err := c.save(dir, t, tokenizerDir); err != nil {
		return fmt.Errorf("saving the model %s: %w", dir, err)
	}
	return nil
}

func (c Config) save(dir string, t safetensors.Tensors, tokenizerDir string) error {
	f := Folder{Architecture: c, Tensors: safetensors.Tensors{}}
	if err := f.take(t, c.fullName); err != nil {
		return err
	}
	if len(f.Unused) > 0 {
		return fmt.Errorf("tensor %s is not one of the model's", f.Unused[0])
	}
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	if err := describe(c, f.HasHead).WriteFile(filepath.Join(dir, configFile)); err != nil {
		return err
	}
	if err := safetensors.Save(filepath.Join(dir, weightsFile), t, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	if tokenizerDir == "" {
		return nil
	}
	return copyTokenizer(dir, tokenizerDir)
}

// describe says in a configuration what the folder holds: which class, and float32 whatever it was read from. Hugging
// Face casts to the type that stands there.
func describe(c Config, head bool) Config {
	c.set("architectures", []string{c.Class(head)})
	named := false
	for _, name := range []string{"dtype", "torch_dtype"} { // of releases from 5 on, and before
		if _, ok := c.fields[name]; ok {
			c.set(name, "float32")
			named = true
		}
	}
	if !named {
		c.set("torch_dtype", "float32")
	}
	return c
}

// copyTokenizer copies the files that are there. A folder may be saved over itself.
func copyTokenizer(dir, from string) error {
	a, errA := os.Stat(dir)
	b, errB := os.Stat(from)
	if err := errors.Join(errA, errB); err != nil {
		return fmt.Errorf("copying the tokenizer: %w", err)
	}
	if os.SameFile(a, b) {
		return nil
	}
	if err := copyFiles(dir, from, tokenizerFiles...); err != nil {
		return fmt.Errorf("copying the tokenizer: %w", err)
	}
	return nil
}

// copyFiles copies those of the named files that are there. What a link out of the folder from leads to is not copied.
func copyFiles(dir, from string, names ...string) error {
	folder, err := confined.OpenFolder(from)
	if err != nil {
		return err
	}
	defer folder.Close()
	for _, name := range names {
		in, err := folder.Open(name)
		if missing(err) {
			continue
		}
		if err != nil {
			return err
		}
		err = disk.Replace(filepath.Join(dir, name), func(w io.Writer) error {
			_, err := io.Copy(w, in)
			return err
		})
		if err := errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return nil
}
