package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"metalora/adapters"
	"metalora/models"
	"metalora/pipeline/fault"
)

// Verify checks a run, a finished unit, a checkpoint, or a model or adapter, and lists the files that are not as they were
// written, by their paths below dir. What lies in a unit is held against the unit's manifest; a model or adapter that has
// none is read whole, which finds what is malformed but not a weight that was changed.
func Verify(dir string) ([]Problem, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fault.Input(fmt.Errorf("verifying %s: it is no folder that can be read", dir))
	}
	for _, name := range []string{experimentFile, unitsFolder} {
		if exists(filepath.Join(dir, name)) {
			return verifyRun(dir)
		}
	}
	if exists(filepath.Join(dir, manifestFile)) {
		return verifyFolder(dir, "")
	}
	whole, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for at := filepath.Dir(whole); at != filepath.Dir(at); at = filepath.Dir(at) {
		if exists(filepath.Join(at, manifestFile)) {
			part, _ := filepath.Rel(at, whole)
			return verifyFolder(at, filepath.ToSlash(part)+"/")
		}
	}
	return verifyForeign(dir)
}

// verifyRun checks every finished unit and every checkpoint of a run.
func verifyRun(dir string) ([]Problem, error) {
	problems := []Problem{}
	for _, pattern := range []string{unitsFolder + "/*", workFolder + "/*/" + checkpointsFolder + "/step-*"} {
		found, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			if strings.HasSuffix(name, unfinishedSuffix) {
				continue // nobody reads it
			}
			below, err := verifyFolder(filepath.Join(dir, filepath.FromSlash(name)), "")
			if err != nil {
				return nil, err
			}
			for _, p := range below {
				problems = append(problems, Problem{name + "/" + p.File, p.Problem})
			}
		}
	}
	return problems, nil
}

// verifyFolder checks a folder against its manifest: what lies below prefix, which is left out of the names.
func verifyFolder(dir, prefix string) ([]Problem, error) {
	m, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []Problem{{manifestFile, "it is missing"}}, nil
	}
	if err != nil {
		return []Problem{{manifestFile, err.Error()}}, nil // whatever part one asked for
	}
	all, err := m.check(dir)
	problems := []Problem{}
	for _, p := range all {
		if rest, inside := strings.CutPrefix(p.File, prefix); inside {
			problems = append(problems, Problem{rest, p.Problem})
		}
	}
	return problems, err
}

// verifyForeign reads a model or an adapter of which no manifest is known.
func verifyForeign(dir string) ([]Problem, error) {
	var err error
	switch {
	case exists(filepath.Join(dir, "adapter_config.json")):
		_, err = adapters.Load(dir)
	case exists(filepath.Join(dir, "config.json")):
		_, err = models.Load(dir)
	default:
		return nil, fault.Input(fmt.Errorf("verifying %s: it is no run, unit, checkpoint, model or adapter", dir))
	}
	if err != nil {
		return []Problem{{".", err.Error()}}, nil
	}
	return []Problem{}, nil
}

// asWritten is the error that a folder in a finished unit is not as the unit's manifest says; it names the first file.
func asWritten(dir string) error {
	unit := filepath.Dir(dir)
	if !exists(filepath.Join(unit, manifestFile)) {
		return nil // a unit of an earlier program
	}
	problems, err := verifyFolder(unit, filepath.Base(dir)+"/")
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("%s: %s", filepath.Join(dir, problems[0].File), problems[0].Problem)
	}
	return err
}
