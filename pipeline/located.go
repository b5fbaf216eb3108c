package pipeline

import (
	"metalora/models"
	"metalora/pipeline/hub"
	"metalora/tokenize"
)

// What a user calls a model is a folder, a file, or a name whose snapshot the hub's cache has: these find it. Configurations
// and adapters keep what the user wrote, which another computer may find elsewhere.

func loadModel(name string) (*models.Folder, error) {
	dir, err := hub.Locate(name)
	if err != nil {
		return nil, err
	}
	return models.Load(dir)
}

func readArchitecture(name string) (models.Architecture, error) {
	dir, err := hub.Locate(name)
	if err != nil {
		return nil, err
	}
	return models.ReadArchitecture(dir)
}

func loadTokenizer(name string) (*tokenize.Tokenizer, error) {
	dir, err := hub.Locate(name)
	if err != nil {
		return nil, err
	}
	return tokenize.Load(dir)
}

// located makes a sum of files one of what a name stands for.
func located(sum func(path string) (string, error)) func(name string) (string, error) {
	return func(name string) (string, error) {
		path, err := hub.Locate(name)
		if err != nil {
			return "", err
		}
		return sum(path)
	}
}
