// Package library knows where the ONNX Runtime shared library lies and which version a file is.
//
// Nothing is loaded here. A file is looked for in this order, and the first that exists and is new enough is taken:
//
//  1. METALORA_ORT, a file or a folder; where it is set nothing else is tried
//  2. beside the executable, in lib/ beside it, and in ../lib
//  3. the cache: <user cache>/metalora/onnxruntime/<release>/<os>-<arch>/, which `./task ort` fills
//  4. the folders of LD_LIBRARY_PATH (DYLD_LIBRARY_PATH on macOS) and the system's library folders
package library

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Release is the ONNX Runtime that metalora is tested with; `./task ort` fetches it.
const Release = "1.30.0"

// Minimum is the oldest ONNX Runtime with the C interface that the binding asks for (API version 29 came with 1.29).
const Minimum = "1.29.0"

// Variable is the environment variable that names the library.
const Variable = "METALORA_ORT"

const advice = "run `./task ort` in metalora's source folder, or set " + Variable + " to the file"

// FileName is the library's name in the cache on the given operating system (a runtime.GOOS).
func FileName(goos string) string {
	switch goos {
	case "darwin":
		return "libonnxruntime." + Release + ".dylib"
	case "windows":
		return "onnxruntime.dll"
	}
	return "libonnxruntime.so." + Release
}

// CachePath is where `./task ort` puts the library for an operating system and architecture. It need not exist yet.
func CachePath(goos, goarch string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w", err)
	}
	return filepath.Join(cache, "metalora", "onnxruntime", Release, goos+"-"+goarch, FileName(goos)), nil
}

// Find returns the path of the library. The error lists every place and says how to get one.
func Find() (string, error) {
	if path := os.Getenv(Variable); path != "" {
		return named(path)
	}
	folders := places()
	var old []string
	for _, folder := range folders {
		path := inFolder(folder)
		if path == "" {
			continue
		}
		err := Check(path)
		if err == nil {
			return path, nil
		}
		old = append(old, err.Error())
	}
	message := "looked in\n  " + strings.Join(folders, "\n  ")
	if len(old) > 0 {
		message += "\nnot usable:\n  " + strings.Join(old, "\n  ")
	}
	return "", fmt.Errorf("finding ONNX Runtime %s: %s (%s)", Release, message, advice)
}

// named checks what METALORA_ORT says: the library itself, or a folder that holds it.
func named(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("finding ONNX Runtime as %s says: %w", Variable, err)
	}
	if !info.IsDir() {
		return path, nil
	}
	if file := inFolder(path); file != "" {
		return file, nil
	}
	return "", fmt.Errorf("finding ONNX Runtime as %s says: %s holds none of %s", Variable, path, strings.Join(names(), ", "))
}

// names are the names a library goes by, the most specific first.
func names() []string {
	switch runtime.GOOS {
	case "darwin":
		return []string{FileName("darwin"), "libonnxruntime.1.dylib", "libonnxruntime.dylib"}
	case "windows":
		return []string{FileName("windows")}
	}
	return []string{FileName("linux"), "libonnxruntime.so.1", "libonnxruntime.so"}
}

// inFolder returns the library in a folder, or nothing.
func inFolder(folder string) string {
	for _, name := range names() {
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// places lists the folders to look in, in order.
func places() []string {
	var folders []string
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		dir := filepath.Dir(exe)
		folders = append(folders, dir, filepath.Join(dir, "lib"), filepath.Join(filepath.Dir(dir), "lib"))
	}
	if cached, err := CachePath(runtime.GOOS, runtime.GOARCH); err == nil {
		folders = append(folders, filepath.Dir(cached))
	}
	variable := "LD_LIBRARY_PATH"
	system := []string{"/usr/local/lib", "/usr/lib", "/usr/lib64"}
	if runtime.GOOS == "darwin" {
		variable, system = "DYLD_LIBRARY_PATH", []string{"/usr/local/lib", "/opt/homebrew/lib"}
	}
	for _, folder := range filepath.SplitList(os.Getenv(variable)) {
		if folder != "" {
			folders = append(folders, folder)
		}
	}
	folders = append(folders, system...)
	if triplet := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]; runtime.GOOS == "linux" {
		folders = append(folders, filepath.Join("/usr/lib", triplet))
	}
	return folders
}

// ErrUnknown says that a file is a shared library that does not tell its version.
var ErrUnknown = errors.New("the file does not tell its version")

// Check refuses a file that is no shared library or an ONNX Runtime older than [Minimum]. A library that does not tell
// its version passes: the engine itself has the last word when it is loaded.
func Check(path string) error {
	version, err := Version(path)
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if older(version, Minimum) {
		return fmt.Errorf("%s is ONNX Runtime %s; metalora needs %s or newer", path, version, Minimum)
	}
	return nil
}
