package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/pipeline/disk"
	"metalora/pipeline/disk/disktest"
	"metalora/pipeline/fault"
)

// TestTuneGoesOn: a tuning that is stopped goes on with the same command, and only with that, to the same adapter and metrics.
func TestTuneGoesOn(t *testing.T) {
	folder, _, data := smallBase(t)
	options := func(name string, sets ...string) TuneOptions {
		return TuneOptions{Model: folder, Data: data, AdapterOut: filepath.Join(t.TempDir(), name),
			Sets: append([]string{"adapt.epochs=2", "adapt.batch=4", "threads=1"}, sets...)}
	}
	calm := options("calm")
	want, err := Tune(t.Context(), calm, Quiet{})
	if err != nil {
		t.Fatal(err)
	}
	rough := options("rough")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = Tune(ctx, rough, &stopper{left: 3, stop: cancel})
	if !errors.Is(err, fault.Stopped) || !strings.Contains(err.Error(), "will go on from its checkpoint") {
		t.Fatalf("got %v, want a stop", err)
	}
	if exists(rough.AdapterOut) {
		t.Error("a part of the adapter is there")
	}
	other := rough
	other.Sets = append([]string{"adapt.learning_rate=0.5"}, rough.Sets...)
	if _, err := Tune(t.Context(), other, Quiet{}); fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), "other settings") {
		t.Errorf("with other settings it went on: %v", err)
	}
	p := &stopper{}
	got, err := Tune(t.Context(), rough, p)
	if err != nil {
		t.Fatal(err)
	}
	if p.from[0] != 3 {
		t.Errorf("it went on from step %d, want 3", p.from[0])
	}
	sameTuning(t, want, got)
	if left, _ := os.ReadDir(filepath.Dir(rough.AdapterOut)); len(left) != 1 {
		t.Errorf("beside the adapter lies %v", left)
	}
}

// sameTuning compares metrics, but for the adapter's place, and the adapters' files.
func sameTuning(t *testing.T, want, got *TuneResult) {
	t.Helper()
	a, b := *want, *got
	a.Adapter, b.Adapter = "", ""
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
	x, y := deterministic(t, want.Adapter), deterministic(t, got.Adapter)
	if diff := cmp.Diff(x, y); diff != "" || len(x) < 2 {
		t.Errorf("%d files: %s", len(x), diff)
	}
}

// TestTuneTaken: where another process tunes into the same place, a tuning says who, and leaves it alone. What is there already is
// written over by none: neither what was there before, nor what another process placed while this one read its input.
func TestTuneTaken(t *testing.T) {
	folder, _, data := smallBase(t)
	o := TuneOptions{Model: folder, Data: data, AdapterOut: filepath.Join(t.TempDir(), "adapter"), Sets: []string{"adapt.epochs=1", "adapt.batch=8", "threads=1"}}
	work := o.AdapterOut + ".unfinished"
	write(t, filepath.Join(work, "made", "half"), "another's")
	other, err := acquire(filepath.Join(work, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	var locked lockedError
	if _, err := Tune(t.Context(), o, Quiet{}); !errors.As(err, &locked) || fault.Code(err) != fault.CodeFailed ||
		!strings.Contains(err.Error(), o.AdapterOut) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("got %v, want who holds it", err)
	}
	if !exists(filepath.Join(work, "made", "half")) {
		t.Error("what the other process has under way is gone")
	}
	if err := errors.Join(os.RemoveAll(work), other.release()); err != nil {
		t.Fatal(err)
	}
	var results [2]error
	var both sync.WaitGroup
	for i := range results {
		both.Go(func() { _, results[i] = Tune(t.Context(), o, Quiet{}) })
	}
	both.Wait()
	if (results[0] == nil) == (results[1] == nil) {
		t.Errorf("two at once end with %v and %v, want one done", results[0], results[1])
	}
	before := deterministic(t, o.AdapterOut)
	if _, err := Tune(t.Context(), o, Quiet{}); fault.Code(err) != fault.CodeUsage || !strings.Contains(err.Error(), "is there and not empty") {
		t.Errorf("over another adapter: %v", err)
	}
	if diff := cmp.Diff(before, deterministic(t, o.AdapterOut)); diff != "" {
		t.Error(diff)
	}
	if left, _ := os.ReadDir(filepath.Dir(o.AdapterOut)); len(left) != 1 {
		t.Errorf("beside the adapter lies %v", left)
	}
	if boards, _ := filepath.Glob(filepath.Join(o.AdapterOut, "runs", "events.out.tfevents.*")); len(boards) != 1 {
		t.Errorf("%d event files, want one", len(boards))
	}
}

// tuneOn runs a tuning into root/adapter, on a disk that fails there.
func tuneOn(t *testing.T, o TuneOptions, root string, failure disktest.Failure, at int) (*TuneResult, *disktest.Disk, error) {
	t.Helper()
	d, err := disktest.New(root, failure, at)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Use(d)()
	o.AdapterOut = filepath.Join(root, "adapter")
	r, err := Tune(t.Context(), o, Quiet{})
	return r, d, err
}

// TestTortureTune: whatever goes wrong on disk, the adapter is there whole or not at all, and the same command makes it, or finds it made.
// Nothing else is left. Beside a sample of all operations, the process is killed at every other one from the adapter's placing on.
func TestTortureTune(t *testing.T) {
	folder, _, data := smallBase(t)
	options := TuneOptions{Model: folder, Data: data, Sets: []string{"adapt.epochs=1", "adapt.batch=8", "threads=1", "checkpoint.steps=1"}}
	want, d, err := tuneOn(t, options, t.TempDir(), disktest.None, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, tried, placed := d.Operations(), 0, 0
	every := 1
	if *points > 0 {
		every = max(1, n*2 / *points)
	}
	strike := func(failure disktest.Failure, at int) {
		root := t.TempDir()
		_, d, failed := tuneOn(t, options, root, failure, at)
		if err := d.Restart(); err != nil {
			t.Fatal(err)
		}
		where := fmt.Sprintf("%v at %d (%s)", failure, at, d.Struck())
		out := filepath.Join(root, "adapter")
		there := exists(out)
		if problem := intact(out); there && problem != nil {
			t.Fatalf("%s: %v is there, %v", where, failed, problem)
		}
		if failed != nil || !there { // the command has not said that it is done, or the power went as it said so
			got, _, err := tuneOn(t, options, root, disktest.None, 0)
			if err != nil {
				t.Fatalf("%s: %v and then %v", where, failed, err)
			}
			sameTuning(t, want, got)
			if left, _ := os.ReadDir(root); len(left) != 1 {
				t.Fatalf("%s: beside the adapter lies %v", where, left)
			}
		}
		tried++
		if there {
			placed++
		}
	}
	for kind, failure := range disktest.Failures {
		for at := 1 + kind*every/len(disktest.Failures); at <= n; at += every {
			strike(failure, at)
		}
	}
	for at := n; every > 1 && !strings.HasPrefix(d.Name(at), "rename"); at -= 2 {
		strike(disktest.Kill, at)
	}
	if placed < 10 {
		t.Errorf("the adapter was there after %d failures: too few to show that a second run clears up", placed)
	}
	if !t.Failed() {
		tell(t, "A tuning, %d operations on disk: %d failures injected, of %d kinds, %d of them after the adapter was in place; each time it was whole or not there, and the same command ended with it and left nothing else.",
			n, tried, len(disktest.Failures), placed)
	}
}
