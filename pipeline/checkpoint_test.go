package pipeline

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"metalora/models/safetensors"
	"metalora/pipeline/disk"
	"metalora/pipeline/train"
)

var checkpointMiB = flag.Int("checkpoint", 256, "MiB that a checkpoint of BenchmarkCheckpoint has; a retraining at base size makes 1,951")

// BenchmarkCheckpoint pairs a checkpoint with writing as many bytes and syncing them: x/bytes is how many times as long it takes
// until the checkpoint is durable, and checked-x/bytes until it has been read back and held against its manifest.
func BenchmarkCheckpoint(b *testing.B) {
	floats := *checkpointMiB << 18
	data := make([]float32, floats)
	for i := range data {
		data[i] = float32(i) * 1e-3
	}
	tensors := safetensors.Tensors{"weight/shared/w": {Shape: []int{floats}, Data: data}}
	c := &checkpoints{dir: filepath.Join(b.TempDir(), checkpointsFolder), settings: Checkpoint{Keep: 2}}
	path, piece := filepath.Join(b.TempDir(), "bytes"), make([]byte, pieceBytes)
	b.SetBytes(4 * int64(floats))
	var durable, checked, bytes time.Duration
	for n := 1; b.Loop(); n++ {
		target := filepath.Join(c.dir, (&saved{Run: train.State{Done: n}}).name())
		began := time.Now()
		if err := c.place(target, tensors, nil, []byte("{}"), make(chan struct{})); err != nil {
			b.Fatal(err)
		}
		durable += time.Since(began)
		if err := wrong(target); err != nil {
			b.Fatal(err)
		}
		checked += time.Since(began)
		began = time.Now()
		err := disk.Replace(path, func(w io.Writer) error {
			for range 4 * floats / len(piece) {
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
			return nil
		})
		bytes += time.Since(began)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(target); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(durable)/float64(bytes), "x/bytes")
	b.ReportMetric(float64(checked)/float64(bytes), "checked-x/bytes")
}

// TestCheckpointPace: after each checkpoint by the clock training has 32 times as long as it took, so that checkpoints
// take at most 3 % even where training waits for all of each; and never one is begun before the last has ended.
func TestCheckpointPace(t *testing.T) {
	c := &checkpoints{dir: t.TempDir(), settings: Checkpoint{Keep: 2}, note: func(string) {}}
	for n := 1; n <= 3; n++ {
		if err := c.begin(&saved{Run: train.State{Done: n}, Result: &Result{}}); err != nil {
			t.Fatal(err)
		}
		w := c.current
		if c.due(n) {
			t.Error("due while one is being written")
		}
		if err := c.settle(true); err != nil {
			t.Fatal(err)
		}
		if share := float64(w.took) / float64(c.next.Sub(w.began)); w.took <= 0 || share > 1.0001*checkpointShare {
			t.Errorf("checkpoint %d took %v and the next is due %v after its beginning: %.3f of the time", n, w.took, c.next.Sub(w.began), share)
		}
		if c.due(n) {
			t.Error("due at once after one")
		}
	}
	c.settings.Steps = 3
	if got := fmt.Sprint(c.due(2), c.due(3), c.due(4), c.due(6)); got != "false true false true" {
		t.Errorf("one every three steps: %s", got)
	}
}
