package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms says what each folder may import of ours; a folder without an entry goes by the entry of the folder it lies in.
// "…" after a name stands for everything below it too. Tests are free to look further down, never up.
var rooms = map[string][]string{
	".":                      {"pipeline/cli"},
	"pipeline/confined":      {},
	"pipeline/disk":          {},
	"pipeline/disk/disktest": {"pipeline/disk"},
	"convai2":                {"pipeline/confined", "pipeline/rng"},
	"tokenize":               {"pipeline/confined", "pipeline/disk", "pipeline/rng"},
	"onnx":                   {"pipeline/confined", "onnx/onnxpb"},
	"onnx/onnxpb":            {},
	"onnx/autodiff":          {"onnx"},
	"onnx/kernels":           {"onnx"},
	"onnx/ort":               {"onnx", "onnx/kernels", "onnx/ort/library"},
	"onnx/ort/library":       {},
	"onnx/ort/fetch":         {"onnx/ort/library"},
	"onnx/ort/orttest":       {"onnx/ort"},
	"onnx/onnxtest":          {"onnx"},
	"models":                 {"pipeline/confined", "pipeline/disk", "onnx", "models…", "pipeline/rng"},
	"models/safetensors":     {"pipeline/confined", "pipeline/disk"},
	"adapters":               {"pipeline/confined", "pipeline/disk", "onnx", "models…", "pipeline/rng"},
	"eval":                   {"pipeline/disk", "eval…", "models/safetensors", "pipeline/rng"},
	"configs":                {},
	"pipeline":               {"configs", "pipeline/confined", "pipeline/disk", "convai2…", "tokenize…", "onnx…", "models…", "adapters…", "eval…", "pipeline…"},
	"pipeline/rng":           {},
	"pipeline/golden":        {},
	"pipeline/fault":         {},
	"pipeline/board":         {},
	"pipeline/terminal":      {},
	"pipeline/config":        {"pipeline/confined", "pipeline/fault"},
	"pipeline/corpus":        {"pipeline/config", "pipeline/download", "pipeline/fault"},
	"pipeline/filelock":      {},
	"pipeline/machine":       {},
	"pipeline/mpi":           {},
	"pipeline/download":      {},
	"pipeline/hub":           {"pipeline/confined", "pipeline/config", "pipeline/download", "pipeline/fault", "pipeline/filelock"},
}

// secrets are outside packages that only some rooms may import, tests included.
var secrets = map[string][]string{
	"github.com/yalue/onnxruntime_go": {"onnx/ort"},
	"google.golang.org/protobuf":      {"onnx", "onnx/onnxpb", "pipeline/board"},
	"github.com/sugarme":              {"tokenize"},
	"github.com/spf13":                {"pipeline…"},
	"github.com/schollz/progressbar":  {"pipeline…"},
	"github.com/stretchr/testify":     {},
	"metalora/onnx/onnxpb":            {"onnx", "onnx/onnxpb"},
	"metalora/pipeline/cli":           {".", "pipeline/cli…"},
}

const module = "metalora"

// listed is what `go list -json` says about a package.
type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v\n%s", err, &stderr)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// room is a package's folder, "." for the module's own.
func room(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// matches compares a folder with a list of names, some of which end in "…".
func matches(folder string, names []string) bool {
	for _, name := range names {
		whole, below := strings.CutSuffix(name, "…")
		if folder == whole || below && strings.HasPrefix(folder, whole+"/") {
			return true
		}
	}
	return false
}

// allowed finds the entry of rooms that a folder goes by.
func allowed(folder string) ([]string, bool) {
	for name := folder; ; {
		if list, ok := rooms[name]; ok {
			return list, true
		}
		i := strings.LastIndex(name, "/")
		if i < 0 {
			return nil, false
		}
		name = name[:i]
	}
}

// TestTopLevel: a new package lies in one of the rooms.
func TestTopLevel(t *testing.T) {
	known := []string{"pipeline", "tokenize", "onnx", "adapters", "convai2", "eval", "models", "configs"}
	for _, p := range packages(t) {
		folder, _, _ := strings.Cut(room(p.ImportPath), "/")
		if folder != "." && !slices.Contains(known, folder) {
			t.Errorf("%s lies in a folder of its own", p.ImportPath)
		}
	}
}

// TestImportsPointOneWay holds the packages to the rooms of ARCHITECTURE.md.
func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		folder := room(p.ImportPath)
		list, ok := allowed(folder)
		if !ok {
			t.Errorf("%s has no entry in this test: say what it may import", folder)
			continue
		}
		for _, path := range p.Imports {
			if strings.HasPrefix(path, module+"/") && !matches(room(path), list) {
				t.Errorf("%s imports %s; it may import %q", folder, room(path), list)
			}
		}
	}
}

// TestImportsOfTests keeps tests below the pipeline from looking up.
func TestImportsOfTests(t *testing.T) {
	for _, p := range packages(t) {
		folder := room(p.ImportPath)
		if matches(folder, []string{".", "pipeline…"}) {
			continue
		}
		for _, path := range append(p.TestImports, p.XTestImports...) {
			if matches(room(path), []string{"pipeline…"}) && room(path) != "pipeline/rng" && room(path) != "pipeline/golden" {
				t.Errorf("a test of %s imports %s", folder, room(path))
			}
		}
	}
}

// TestImportsKeptInOneRoom keeps each outside library behind the package that wraps it.
func TestImportsKeptInOneRoom(t *testing.T) {
	for _, p := range packages(t) {
		folder := room(p.ImportPath)
		for _, path := range append(append(p.Imports, p.TestImports...), p.XTestImports...) {
			for secret, owners := range secrets {
				if (path == secret || strings.HasPrefix(path, secret+"/")) && !matches(folder, owners) {
					t.Errorf("%s imports %s, which only %q may", folder, path, owners)
				}
			}
		}
	}
}
