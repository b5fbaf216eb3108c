package pipeline

import (
	"io"
	"path/filepath"
	"testing"

	"metalora/models/safetensors"
	"metalora/pipeline/train"
)

// BenchmarkCheckpoint compares a checkpoint, sums and reading back included, with writing as many bytes and syncing them.
func BenchmarkCheckpoint(b *testing.B) {
	const floats = 16 << 20
	tensors := safetensors.Tensors{"weight/shared/w": {Shape: []int{floats}, Data: make([]float32, floats)}}
	b.Run("checkpoint", func(b *testing.B) {
		c := &checkpoints{dir: filepath.Join(b.TempDir(), checkpointsFolder), settings: Checkpoint{Keep: 2}}
		b.SetBytes(4 * floats)
		for n := 1; b.Loop(); n++ {
			if err := c.write(&saved{Run: train.State{Done: n}, Result: &Result{}, tensors: tensors}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bytes", func(b *testing.B) {
		path, piece := filepath.Join(b.TempDir(), "bytes"), make([]byte, 1<<20)
		b.SetBytes(4 * floats)
		for b.Loop() {
			err := safetensors.Replace(path, func(w io.Writer) error {
				for range 4 * floats / len(piece) {
					if _, err := w.Write(piece); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
