package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"metalora/eval"
	"metalora/models/safetensors"
	"metalora/pipeline/train"
)

// expected is what a checkpoint of a training can be. A run's folder may come from a stranger, whose manifests are right for files that
// lie: nothing of a checkpoint is taken up that the training's own steps would not have written. A nil one expects nothing.
type expected struct {
	run    *train.Run
	result *Result              // before the first step
	scores func(epoch int) bool // whether held-out turns are scored after it, counted from 0
	kept   map[string][]int     // shapes of the weights of the best epoch, by their names among a checkpoint's tensors
	most   map[string]int64     // bytes of files
}

// expect gathers what this session's checkpoints can be, before its first step.
func (t *session) expect() *expected {
	x := &expected{run: t.run, result: t.result, scores: t.scores, kept: map[string][]int{}}
	weights := int64(0)
	for i, set := range append([]safetensors.Tensors{t.shared}, t.own...) {
		for name, tensor := range set {
			x.kept[keptName(i, name)] = tensor.Shape
			weights += 4 * int64(len(tensor.Data))
		}
	}
	for _, tensor := range t.run.State().Tensors {
		weights += 3 * 4 * int64(len(tensor.Data)) // with its moments
	}
	// A step's line has eight numbers, and two for each inner step; a number takes at most 24 bytes, its name not half as many.
	lines := int64(1 << 10)
	for _, step := range t.run.Plan {
		lines += 1<<10 + 128*int64(len(step.Inner))
	}
	x.most = map[string]int64{tensorsFile: weights + safetensors.MaxHeader + 8, MetricsFile: lines, manifestFile: maxManifest}
	return x
}

// sizes is the error that a file of a checkpoint is larger than it can be. Nothing is read for it.
func (x *expected) sizes(dir string) error {
	if x == nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		most, known := x.most[entry.Name()]
		if !known {
			most = maxRecord
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || info.Mode().IsRegular() && info.Size() > most {
			return errors.Join(err, fmt.Errorf("%s: %d bytes, and this training's has at most %d", filepath.Join(dir, entry.Name()), info.Size(), most))
		}
	}
	return nil
}

// progress is the error that the training never is as far as a checkpoint says.
func (x *expected) progress(s *saved) error {
	if x == nil {
		return nil
	}
	if err := x.run.CheckProgress(s.Run); err != nil {
		return err
	}
	if n := x.run.StepsOfEpoch(s.Run); s.Steps != n || s.Loss < -float64(n) {
		return fmt.Errorf("%d steps of the epoch with a loss of %g together, after %d steps there are %d", s.Steps, s.Loss, s.Run.Done, n)
	}
	if err := x.same(s.Result); err != nil {
		return err
	}
	return x.measured(s)
}

// moved are the fields of a result that training changes; the notes are not compared either, they are about the data.
var moved = []string{"Tokens", "Skipped", "Kept", "Epochs", "Turns", "Notes", "Together"}

// same is the error that a result is of another training.
func (x *expected) same(r *Result) error {
	was, is := reflect.ValueOf(*r), reflect.ValueOf(*x.result)
	for i := range was.NumField() {
		field := was.Type().Field(i)
		if got, want := was.Field(i).Interface(), is.Field(i).Interface(); !slices.Contains(moved, field.Name) && !reflect.DeepEqual(got, want) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			return fmt.Errorf("its result's %s is %.100q, want %q", name, fmt.Sprint(got), fmt.Sprint(want))
		}
	}
	return nil
}

// measured is the error that a result has other epochs or turns than those that have been scored.
func (x *expected) measured(s *saved) error {
	var want []int
	for _, step := range x.run.Plan {
		if e := step.Epoch; e < s.Run.Ended && x.scores(e) && !slices.Contains(want, e+1) {
			want = append(want, e+1)
		}
	}
	var got []int
	for _, e := range s.Result.Epochs {
		got = append(got, e.Epoch)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("it has scores of the epochs %v, and %v were scored", got, want)
	}
	if retrains := x.result.Kind == KindRetrain; len(want) > 0 && retrains != (s.Result.Kept > 0) {
		return fmt.Errorf("kept is %d after %d epochs", s.Result.Kept, len(want))
	}
	turns := x.result.HeldOutTurns
	if x.result.Kind == KindRetrain || len(want) == 0 {
		turns = 0 // only an adaptation's last epoch is kept by turn
	}
	if len(s.Result.Turns) != turns {
		return fmt.Errorf("it has scores of %d turns, want %d", len(s.Result.Turns), turns)
	}
	if turns == 0 {
		return nil
	}
	return eval.Record{Epochs: s.Result.Epochs, Turns: s.Result.Turns}.Check()
}

// tensors is the error that a checkpoint's tensors have other names, sizes or types than those of its training.
func (x *expected) tensors(infos []safetensors.Info, s *saved) error {
	if x == nil {
		return nil
	}
	want := x.run.ShapesOf(s.Run)
	if s.Result.Kept > 0 {
		maps.Copy(want, x.kept)
	}
	for _, info := range infos {
		shape, known := want[info.Name]
		if !known {
			return fmt.Errorf("tensor %.200q: the training has none of that name", info.Name)
		}
		if info.DType != "F32" || !slices.Equal(info.Shape, shape) {
			return fmt.Errorf("tensor %q: %s %v, want F32 %v", info.Name, info.DType, info.Shape, shape)
		}
		delete(want, info.Name)
	}
	if len(want) > 0 {
		return fmt.Errorf("tensor %q is missing", slices.Min(slices.Collect(maps.Keys(want))))
	}
	return nil
}
