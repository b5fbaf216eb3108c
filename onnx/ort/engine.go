// Package ort runs ONNX models on ONNX Runtime.
//
// A [Session] is one model made ready to run; a [Tensor] is a Go slice with a shape. A run reads the fed tensors'
// slices where they lie and writes the fetched tensors' slices where they lie: nothing is copied, and writing to a
// slice between two runs changes what the next run sees. Weights are inputs like any other, so one small session
// serves every task.
//
//	s, err := ort.OpenModel(model, ort.Options{})
//	x, err := ort.NewTensor([]int{2, 3}, data)
//	fetches := map[string]*ort.Tensor{"y": nil}
//	err = s.Run(map[string]*ort.Tensor{"x": x}, fetches)
//	y := ort.Data[float32](fetches["y"])
//
// The engine is a shared library that package library finds (METALORA_ORT, beside the executable, the cache that
// `./task ort` fills at <user cache>/metalora/onnxruntime/1.30.0/<os>-<arch>/, the system's folders). It is loaded
// once for the life of the process. This is the only package that imports the binding.
package ort

import (
	"fmt"
	"path/filepath"
	"sync"

	"metalora/onnx/ort/library"

	engine "github.com/yalue/onnxruntime_go"
)

// APIVersion is the version of ONNX Runtime's C interface that the binding is made for; an older library is refused.
const APIVersion = 29

var started struct {
	sync.Mutex
	path    string // of the loaded library; empty until then
	version string
}

// Library finds the shared library; see package library for the places. The error says how to get one.
func Library() (string, error) { return library.Find() }

// Start loads the library at path, or the one that [Library] finds where path is empty. A process loads one library
// for good: starting the same one again does nothing, starting another is an error. After a failure another path can
// be tried. [Open] and [NewTensor] call it, so that calling it is only needed to choose the library.
func Start(path string) error {
	started.Lock()
	defer started.Unlock()
	if started.path != "" && path == "" {
		return nil
	}
	path, err := resolve(path)
	if err != nil {
		return err
	}
	if started.path != "" {
		if path != started.path {
			return fmt.Errorf("loading ONNX Runtime from %s: this process already runs on %s", path, started.path)
		}
		return nil
	}
	if err := load(path); err != nil {
		return fmt.Errorf("loading ONNX Runtime: %w", err)
	}
	started.path, started.version = path, engine.GetVersion()
	return nil
}

func resolve(path string) (string, error) {
	if path == "" {
		found, err := library.Find()
		if err != nil {
			return "", err
		}
		path = found
	}
	return filepath.Abs(path)
}

// load checks the file before the binding opens it, so that the message names both versions. The engine's own log goes
// to stderr and repeats what its errors say: it is left to fatal messages.
func load(path string) error {
	if err := library.Check(path); err != nil {
		return err
	}
	engine.SetSharedLibraryPath(path)
	if err := engine.InitializeEnvironment(engine.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("%s (C interface %d of ONNX Runtime %s or newer is needed): %w", path, APIVersion, library.Minimum, err)
	}
	return nil
}

// loaded is the path of the loaded library; empty where none is loaded yet.
func loaded() string {
	started.Lock()
	defer started.Unlock()
	return started.path
}

// Version is the version of the loaded library, as "1.30.0"; empty where none is loaded yet.
func Version() string {
	started.Lock()
	defer started.Unlock()
	return started.version
}
