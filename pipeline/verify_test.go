package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline/fault"
)

// TestVerify: any file of a unit that is changed, cut, gone or new is named, from whichever folder one looks.
func TestVerify(t *testing.T) {
	e, ex := everyRun(t)
	for _, i := range []int{1, 2} {
		if err := e.RunUnit(t.Context(), ex, &e.Units[i], Quiet{}); err != nil {
			t.Fatal(err)
		}
	}
	u := &e.Units[1]
	stopAfter(t, e, ex, &e.Units[3], 1)
	check := func(dir string, want ...string) {
		t.Helper()
		problems, err := Verify(dir)
		files := []string{}
		for _, p := range problems {
			files = append(files, p.File)
		}
		if diff := cmp.Diff(append([]string{}, want...), files); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", dir, err, diff)
		}
	}
	checkpoints, _ := filepath.Glob(filepath.Join(e.Units[3].Work, checkpointsFolder, "*"))
	if len(checkpoints) != 1 {
		t.Fatalf("checkpoints %q", checkpoints)
	}
	for _, dir := range []string{e.Dir, u.Dir, filepath.Join(u.Dir, "model"), checkpoints[0]} {
		check(dir)
	}
	for name := range deterministic(t, u.Dir) {
		path := filepath.Join(u.Dir, name)
		flip(t, path, 0.5)
		check(u.Dir, filepath.ToSlash(name))
		check(e.Dir, "units/"+u.ID+"/"+filepath.ToSlash(name))
		flip(t, path, 0.5)
	}
	flip(t, filepath.Join(u.Dir, "model", "model.safetensors"), 0.5)
	check(filepath.Join(u.Dir, "model"), "model.safetensors")
	check(filepath.Join(u.Dir, "discarded"))
	if _, err := ex.base(filepath.Join(u.Dir, "model")); fault.Code(err) != fault.CodeInput || !strings.Contains(err.Error(), "model.safetensors") {
		t.Errorf("adapting a base with a changed weight: %v", err)
	}
	flip(t, filepath.Join(u.Dir, "model", "model.safetensors"), 0.5)
	write(t, filepath.Join(u.Dir, "model", "more.bin"), "x")
	if err := os.Remove(filepath.Join(u.Dir, MetricsFile)); err != nil {
		t.Fatal(err)
	}
	check(u.Dir, MetricsFile, "model/more.bin")
	flip(t, filepath.Join(checkpoints[0], manifestFile), 0.9)
	check(checkpoints[0], manifestFile)
	if _, err := Verify(t.TempDir()); fault.Code(err) != fault.CodeInput {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestChangedResults: results that are still JSON but not what the unit wrote are refused wherever a run reads them.
func TestChangedResults(t *testing.T) {
	e := open(t, t.TempDir())
	if err := e.Run(t.Context(), &fake{}, nil, Quiet{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(e.Units[0].Dir, ResultsFile)
	write(t, path, `{"unit": "another"}`)
	if _, err := e.States(); fault.Code(err) != fault.CodeInput || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want the file's name", err)
	}
}

// TestFlippedBit: one bit flipped anywhere in any file of a unit, of a checkpoint or of a tuned adapter is found, and the file named.
func TestFlippedBit(t *testing.T) {
	e, ex := everyRun(t, "checkpoint.steps=4")
	retrained, adapted := &e.Units[5], &Unit{}
	for i := range e.Units {
		if u := &e.Units[i]; u.Family == "lora-1" && u.Needs[0] == retrained.ID {
			adapted = u
		}
	}
	for _, u := range []*Unit{retrained, adapted} {
		if err := e.RunUnit(t.Context(), ex, u, Quiet{}); err != nil {
			t.Fatal(err)
		}
	}
	stopAfter(t, e, ex, &e.Units[1], 5)
	folder, _, data := smallBase(t)
	tuned := filepath.Join(t.TempDir(), "tuned")
	if _, err := Tune(t.Context(), TuneOptions{Model: folder, Data: data, AdapterOut: tuned, Sets: []string{"adapt.epochs=1"}}, Quiet{}); err != nil {
		t.Fatal(err)
	}
	checkpoints, _ := filepath.Glob(filepath.Join(e.Units[1].Work, checkpointsFolder, "*"))
	folders := append([]string{retrained.Dir, adapted.Dir, tuned}, checkpoints...)
	places, files := 0, 0
	for _, dir := range folders {
		n := flipAll(t, dir)
		places, files = places+n, files+len(everyFile(t, dir))
	}
	if len(checkpoints) != 2 || files < 30 {
		t.Errorf("%d checkpoints, %d files", len(checkpoints), files)
	}
	tell(t, "%d bits flipped in %d files of units, checkpoints and a tuned adapter: each was found, and its file named.", places, files)
	weights := filepath.Join(tuned, "adapter_model.safetensors")
	flip(t, weights, 0.9)
	base, err := loadModel(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := loadAdapter(tuned, base.Architecture); err == nil || !strings.Contains(err.Error(), weights) {
		t.Errorf("an adapter with a changed weight: %v", err)
	}
	discarded, err := filepath.Glob(filepath.Join(retrained.Dir, "discarded", "*", "adapter_model.safetensors"))
	if err != nil || len(discarded) == 0 {
		t.Fatalf("%q, %v", discarded, err)
	}
	weights = discarded[0]
	flip(t, weights, 0.9)
	if _, _, err := loadAdapter(filepath.Dir(weights), base.Architecture); err == nil || !strings.Contains(err.Error(), weights) {
		t.Errorf("a discarded adapter with a changed weight: %v", err)
	}
}

func everyFile(t *testing.T, dir string) []string {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	names, err := filesBelow(root)
	if err != nil {
		t.Fatal(err)
	}
	return append(names, manifestFile)
}

// flipAll flips one bit at a time, in places all over each file, and says in how many.
func flipAll(t *testing.T, dir string) (places int) {
	t.Helper()
	for _, name := range everyFile(t, dir) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			t.Fatalf("%s: %d bytes, %v", path, len(data), err)
		}
		step := 1
		if *points > 0 {
			step = max(1, len(data)/(*points))
		}
		for at := 0; at < len(data); at += step {
			data[at] ^= 1 << (at % 8)
			write(t, path, string(data))
			problems, err := Verify(dir)
			if err != nil || len(problems) != 1 || problems[0].File != name {
				t.Fatalf("%s flipped at %d: %v, %v", path, at, problems, err)
			}
			data[at] ^= 1 << (at % 8)
			places++
		}
		write(t, path, string(data))
	}
	return places
}
