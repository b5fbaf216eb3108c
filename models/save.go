package models

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"metalora/models/safetensors"
)

// tokenizerFiles are what a model folder holds of its tokenizer, where it has them.
var tokenizerFiles = []string{"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}

// Save writes a complete Hugging Face folder: configuration, weights and, where tokenizerDir is not empty, the tokenizer
// files found there.
func Save(dir string, c Config, t safetensors.Tensors, tokenizerDir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := c.WriteFile(filepath.Join(dir, "config.json")); err != nil {
		return err
	}
	if err := safetensors.Save(filepath.Join(dir, weightsFile), t, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	if tokenizerDir == "" {
		return nil
	}
	for _, name := range tokenizerFiles {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(tokenizerDir, name)); err != nil && !missing(err) {
			return fmt.Errorf("copying the tokenizer: %w", err)
		}
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return safetensors.Replace(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}
