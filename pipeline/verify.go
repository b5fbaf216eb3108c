package pipeline

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"metalora/adapters"
	"metalora/models"
	"metalora/pipeline/confined"
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
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Input(err)
	}
	defer root.Close()
	for _, pattern := range []string{unitsFolder, unitsFolder + "/*", workFolder, workFolder + "/*", workFolder + "/*/" + checkpointsFolder,
		workFolder + "/*/" + checkpointsFolder + "/step-*"} {
		found, err := fs.Glob(linkless{root.FS()}, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			below, err := verifyBelow(root, dir, name)
			if err != nil {
				return nil, err
			}
			problems = append(problems, below...)
		}
	}
	return problems, nil
}

// linkless is a file system whose files are asked what they are without following a link: one that leads out would not be seen at all.
type linkless struct{ fs.FS }

func (l linkless) Stat(name string) (fs.FileInfo, error) { return fs.Lstat(l.FS, name) }

// verifyBelow checks a folder of a run: that it is no link and, where it is to have one, against its manifest.
func verifyBelow(root *os.Root, dir, name string) ([]Problem, error) {
	parent := path.Base(path.Dir(name))
	if strings.HasSuffix(name, unfinishedSuffix) && parent == checkpointsFolder {
		return nil, nil // nobody reads it
	}
	if info, err := root.Lstat(filepath.FromSlash(name)); err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return []Problem{{name, "it is a link, which is not followed"}}, nil
	}
	if parent != unitsFolder && parent != checkpointsFolder {
		return nil, nil
	}
	problems, err := verifyFolder(filepath.Join(dir, filepath.FromSlash(name)), "")
	for i := range problems {
		problems[i].File = name + "/" + problems[i].File
	}
	return problems, err
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
	all, err := m.check(dir, prefix)
	problems := []Problem{}
	for _, p := range all {
		problems = append(problems, Problem{strings.TrimPrefix(p.File, prefix), p.Problem})
	}
	if err == nil && prefix == "" && len(problems) == 0 {
		problems = append(problems, unreadable(dir)...)
	}
	return problems, err
}

// unreadable lists what a folder that is as its manifest says has of records that cannot be: manifests find accidents, not lies.
func unreadable(dir string) []Problem {
	var problems []Problem
	check := func(name string, read func() error) {
		if !exists(filepath.Join(dir, name)) {
			return
		}
		if err := read(); err != nil {
			problems = append(problems, Problem{name, cmp.Or(errors.Unwrap(err), err).Error()}) // without the name
		}
	}
	var r *Result
	check(ResultsFile, func() (err error) {
		r, err = readResult(dir)
		return err
	})
	check(ProvenanceFile, func() error {
		_, err := readProvenance(dir)
		return err
	})
	check(stateFile, func() error {
		_, err := readState(dir)
		return err
	})
	if r != nil {
		check(MetricsFile, func() error {
			_, _, err := readLosses(dir, r)
			return err
		})
	}
	return problems
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

// intact is the error that an adapter is not as the manifest says which [Tune] wrote into it, or that of the finished unit it lies
// in; it names the first file. An adapter from elsewhere has neither, and is taken as it is.
func intact(dir string) error {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	at, prefix := whole, ""
	if !ownManifest(whole) {
		at = filepath.Dir(whole) // units/ID/adapter
		if !exists(filepath.Join(at, unitFile)) {
			at = filepath.Dir(at) // units/ID/discarded/TASK
		}
		if !exists(filepath.Join(at, unitFile)) || !exists(filepath.Join(at, manifestFile)) {
			return nil
		}
		part, _ := filepath.Rel(at, whole)
		prefix = filepath.ToSlash(part) + "/"
	}
	problems, err := verifyFolder(at, prefix)
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("%s: %s", filepath.Join(dir, filepath.FromSlash(problems[0].File)), problems[0].Problem)
	}
	return err
}

// ownManifest tells whether a folder has a manifest of ours: other programs use that name too.
func ownManifest(dir string) bool {
	var m manifest
	data, err := confined.ReadIn(dir, manifestFile, maxManifest)
	return err == nil && json.Unmarshal(data, &m) == nil && m.Sum != "" && m.Files != nil
}
