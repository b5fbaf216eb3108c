package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"metalora/onnx"
	"metalora/onnx/autodiff"
	"metalora/pipeline/fault"
)

// Gradients writes the model in file from once more as file to, with the gradients that the wish asks for as further
// outputs. The file appears whole or not at all. It returns what was added, and the operator set of the model before.
func Gradients(from, to string, wish autodiff.Wish) (*autodiff.Extension, int64, error) {
	if err := apart(from, to); err != nil {
		return nil, 0, err
	}
	m, err := onnx.ReadFile(from)
	if err != nil {
		return nil, 0, fault.Input(err)
	}
	e, err := autodiff.Extend(m, wish)
	if err != nil {
		err = fmt.Errorf("adding gradients to %s: %w", from, err)
		if _, asked := errors.AsType[*autodiff.RequestError](err); asked {
			return nil, 0, fault.Usage(err)
		}
		return nil, 0, fault.Input(err)
	}
	return e, m.Opset(""), e.Model.WriteFile(to)
}

// apart refuses to write over the file that is read, under whatever name, and into a folder that does not exist.
func apart(from, to string) error {
	dir, err := os.Stat(filepath.Dir(to))
	if err == nil && !dir.IsDir() {
		err = fmt.Errorf("%s is not a folder", filepath.Dir(to))
	}
	if err != nil {
		return fault.Usage(fmt.Errorf("writing %s: %w", to, err))
	}
	before, err := os.Stat(from)
	if err != nil {
		return fault.Input(fmt.Errorf("reading ONNX file: %w", err))
	}
	after, err := os.Stat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("writing %s: %w", to, err)
	case os.SameFile(before, after):
		return fault.Usage(fmt.Errorf("writing %s: it is the model that is read; name another file", to))
	case !after.Mode().IsRegular():
		return fault.Usage(fmt.Errorf("writing %s: it is not a file", to))
	}
	return nil
}
