package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/disk"
	"metalora/disk/disktest"
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

// TestTortureTune: whatever goes wrong on disk, the adapter is there whole or not at all, and the same command makes it.
func TestTortureTune(t *testing.T) {
	folder, _, data := smallBase(t)
	options := TuneOptions{Model: folder, Data: data, Sets: []string{"adapt.epochs=1", "adapt.batch=8", "threads=1", "checkpoint.steps=1"}}
	tune := func(root string, failure disktest.Failure, at int) (*TuneResult, *disktest.Disk, error) {
		t.Helper()
		d, err := disktest.New(root, failure, at)
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Use(d)()
		o := options
		o.AdapterOut = filepath.Join(root, "adapter")
		r, err := Tune(t.Context(), o, Quiet{})
		return r, d, err
	}
	want, d, err := tune(t.TempDir(), disktest.None, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, tried := d.Operations(), 0
	every := 1
	if *points > 0 {
		every = max(1, n*2 / *points)
	}
	for kind, failure := range disktest.Failures {
		for at := 1 + kind*every/len(disktest.Failures); at <= n; at += every {
			root := t.TempDir()
			_, d, failed := tune(root, failure, at)
			if err := d.Restart(); err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(root, "adapter")
			got := &TuneResult{}
			if exists(out) {
				*got = *want // it was placed before the failure
				got.Adapter = out
			} else if got, _, err = tune(root, disktest.None, 0); err != nil {
				t.Fatalf("%v at %d (%s): %v and then %v", failure, at, d.Struck(), failed, err)
			}
			sameTuning(t, want, got)
			tried++
		}
	}
	if !t.Failed() {
		tell(t, "A tuning, %d operations on disk: %d failures injected, of %d kinds; each time the adapter was whole or not there, and the same command made it.",
			n, tried, len(disktest.Failures))
	}
}
