package pipeline

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"metalora/models/safetensors"
	"metalora/pipeline/fault"
	"metalora/pipeline/train"
)

// keptPrefix stands before the names of kept weights among a checkpoint's tensors: "kept/SET/NAME".
const keptPrefix = "kept/"

func keptName(set int, name string) string { return fmt.Sprint(keptPrefix, set, "/", name) }

// checkpoint begins to write one if it is due; asked for one now, it returns when that is durable.
func (t *session) checkpoint(now bool) error {
	c := t.checkpoints
	if c == nil || t.follows() {
		return nil
	}
	if err := c.settle(now); err != nil {
		return err
	}
	if t.run.Done == 0 || !now && !c.due(t.run.Done) {
		return nil
	}
	lines, err := t.metrics.sofar()
	if err != nil {
		return err
	}
	state := t.run.State()
	s := &saved{Unit: c.unit, Run: state, Loss: t.loss, Steps: t.steps, Result: t.result, tensors: maps.Clone(state.Tensors), metrics: lines}
	for i, set := range t.kept {
		for name, x := range set {
			s.tensors[keptName(i, name)] = x
		}
	}
	if err := c.settle(true); err != nil {
		return err // and none is begun after one that failed
	}
	if err := c.begin(s); err != nil || !now {
		return err
	}
	return c.settle(true)
}

// newest reads the checkpoint to go on from: the newest that is whole, on all ranks the one that rank 0 finds.
func (t *session) newest() (s *saved, err error) {
	where := []float64{0, 0}
	if !t.follows() {
		s, err = t.checkpoints.newest()
		if s != nil {
			where = []float64{float64(s.Run.Done), float64(s.Run.Ended)}
		}
	}
	if err != nil || t.ranks == nil {
		return s, err
	}
	all, err := t.ranks.Gather(where)
	if err != nil || !t.follows() || all[0][0] == 0 {
		return s, err
	}
	same := &saved{Run: train.State{Done: int(all[0][0]), Ended: int(all[0][1])}}
	dir := filepath.Join(t.checkpoints.dir, same.name())
	if s, err = t.checkpoints.read(dir); err != nil {
		return nil, fmt.Errorf("reading the checkpoint %s, which rank 0 goes on from: %w", dir, err)
	}
	return s, nil
}

// resume takes up a checkpoint, if there is one.
func (t *session) resume() error {
	t.result.Together = together(t.ranks)
	if t.checkpoints == nil {
		return nil
	}
	s, err := t.newest()
	if s == nil || err != nil {
		return err
	}
	s.Run.Tensors = safetensors.Tensors{}
	for name, x := range s.tensors {
		rest, kept := strings.CutPrefix(name, keptPrefix)
		if !kept {
			s.Run.Tensors[name] = x
			continue
		}
		if err := t.keep(rest, x); err != nil {
			return t.unfit(s, err)
		}
	}
	if err := t.run.Restore(s.Run); err != nil {
		return t.unfit(s, err)
	}
	if _, err := t.metrics.out.Write(s.metrics); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	t.loss, t.steps = s.Loss, s.Steps
	t.result.Tokens, t.result.Skipped, t.result.Kept = s.Result.Tokens, s.Result.Skipped, s.Result.Kept
	t.result.Epochs, t.result.Turns = s.Result.Epochs, s.Result.Turns
	return nil
}

// unfit is the error that a checkpoint's tensors cannot be taken up.
func (t *session) unfit(s *saved, why error) error {
	return fault.Input(fmt.Errorf("reading the checkpoint %s: %s: %w", filepath.Join(t.checkpoints.dir, s.name()), tensorsFile, why))
}

// keep takes a kept weight up by its place, "SET/NAME".
func (t *session) keep(place string, x safetensors.Tensor) error {
	number, name, _ := strings.Cut(place, "/")
	set, err := strconv.Atoi(number)
	if err != nil || set < 0 || set > len(t.own) {
		return fmt.Errorf("a kept weight of set %.100q, there are %d", number, 1+len(t.own))
	}
	if i := slices.IndexFunc(x.Data, func(v float32) bool { return v-v != 0 }); i >= 0 {
		return fmt.Errorf("tensor %q: element %d is %g, and no model of such weights was kept", keptName(set, name), i, x.Data[i])
	}
	if t.kept == nil {
		t.kept = make([]safetensors.Tensors, 1+len(t.own))
		for i := range t.kept {
			t.kept[i] = safetensors.Tensors{}
		}
	}
	t.kept[set][name] = x
	return nil
}
