package pipeline

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"metalora/models/safetensors"
	"metalora/pipeline/disk"
	"metalora/pipeline/disk/disktest"
	"metalora/pipeline/fault"
	"metalora/pipeline/train"
)

// TestBestStays: the weights of a retraining's best epoch are in every checkpoint after it, also when those of that epoch itself are
// long gone.
func TestBestStays(t *testing.T) {
	sets := []string{"retrain.methods=[meta-lora-2]", "retrain.epochs=4", "checkpoint.steps=2"}
	all, keepsAll := everyRun(t, append(sets, "checkpoint.keep=99")...)
	few, keepsTwo := everyRun(t, sets...)
	var last [2]*saved
	for i, e := range []*Experiment{all, few} {
		u := &e.Units[0]
		d, err := disktest.New(filepath.Dir(e.Dir), disktest.None, 0) // which does not wait for the real one
		if err != nil {
			t.Fatal(err)
		}
		restore := disk.Use(d)
		stopAfter(t, e, []Executor{keepsAll, keepsTwo}[i], u, 39) // of 40
		restore()
		last[i] = at(t, newCheckpoints(e.Config, u, Quiet{}), 39)
	}
	best, scored := last[1].Result.Kept, len(last[1].Result.Epochs)
	if best < 1 || scored != 3 || last[1].Result.Steps != 40 {
		t.Fatalf("epoch %d of %d was the best, of %d steps: that shows nothing", best, scored, last[1].Result.Steps)
	}
	then := at(t, newCheckpoints(all.Config, &all.Units[0], Quiet{}), 10*best)
	kept, moved := 0, 0
	for name, x := range last[1].tensors {
		rest, ok := strings.CutPrefix(name, keptPrefix)
		if !ok {
			continue
		}
		set, weight, _ := strings.Cut(rest, "/")
		place := map[string]string{"0": "shared/", "1": "0/", "2": "1/"}[set] + weight
		if !slices.Equal(x.Data, then.tensors["weight/"+place].Data) {
			t.Errorf("%s is not the weight after epoch %d", name, best)
		}
		kept++
		if !slices.Equal(x.Data, last[1].tensors["weight/"+place].Data) {
			moved++
		}
	}
	if kept < 20 || moved < 20 {
		t.Errorf("%d weights are kept, %d of them have moved since", kept, moved)
	}
	if names, _ := newCheckpoints(few.Config, &few.Units[0], Quiet{}).list(); len(names) != 2 {
		t.Errorf("checkpoints %q, want two", names)
	}
}

// at reads the checkpoint after so many steps.
func at(t *testing.T, c *checkpoints, steps int) *saved {
	t.Helper()
	names, err := c.list()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(names, func(name string) bool {
		return strings.HasPrefix(name, (&saved{Run: train.State{Done: steps}}).name()[:len("step-00000000")])
	})
	if i < 0 {
		t.Fatalf("no checkpoint after step %d among %q", steps, names)
	}
	s, err := c.read(filepath.Join(c.dir, names[i]))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wrongDisk says that it wrote, and turned a bit.
type wrongDisk struct{ *disktest.Disk }

type wrongFile struct{ disk.File }

func (w wrongDisk) Create(path string) (disk.File, error) {
	file, err := w.Disk.Create(path)
	if err != nil || filepath.Base(path) != tensorsFile {
		return file, err
	}
	return wrongFile{file}, nil
}

func (w wrongFile) Write(p []byte) (int, error) {
	p = slices.Clone(p)
	p[len(p)-1] ^= 4
	return w.File.Write(p)
}

// TestCheckpointThatComesOutWrong: those before a checkpoint stay until it has been read back as it was meant to be.
func TestCheckpointThatComesOutWrong(t *testing.T) {
	root := t.TempDir()
	c := &checkpoints{dir: filepath.Join(root, checkpointsFolder), settings: Checkpoint{Keep: 2}, note: func(string) {}}
	save := func(steps int) error {
		tensors := safetensors.Tensors{"w": {Shape: []int{3}, Data: []float32{1, 2, float32(steps)}}}
		var lines bytes.Buffer
		for step := range steps {
			fmt.Fprintf(&lines, "{\"step\":%d}\n", step)
		}
		if err := c.begin(&saved{Run: train.State{Done: steps}, Result: &Result{}, tensors: tensors, metrics: lines.Bytes()}); err != nil {
			return err
		}
		return c.settle(true)
	}
	for steps := 1; steps <= 3; steps++ {
		if err := save(steps); err != nil {
			t.Fatal(err)
		}
	}
	d, err := disktest.New(root, disktest.None, 0)
	if err != nil {
		t.Fatal(err)
	}
	restore := disk.Use(wrongDisk{d})
	err = save(4)
	restore()
	if fault.Code(err) != fault.CodeFailed || !strings.Contains(err.Error(), tensorsFile+": its SHA-256 is") {
		t.Errorf("got %v, want the file that came out wrong", err)
	}
	names, err := c.list()
	if err != nil || len(names) != 3 {
		t.Fatalf("checkpoints %q, %v", names, err)
	}
	if s, err := c.newest(); err != nil || s.Run.Done != 3 {
		t.Errorf("the newest that is whole is %+v, %v", s, err)
	}
}
