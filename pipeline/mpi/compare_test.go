//go:build mpi

package mpi_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"metalora/models/safetensors"
	"metalora/pipeline"
)

// each walks the deterministic files of a run's units, by their place in it.
func (b *bench) each(dir string, f func(name, path string)) {
	b.Helper()
	units := filepath.Join(dir, "units")
	err := filepath.WalkDir(units, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "provenance.json" && d.Name() != "manifest.json" {
			name, _ := filepath.Rel(units, path)
			f(name, path)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// same counts the files of one run, all of which have to be in another with the same bytes.
func (b *bench) same(want, got string) (files int) {
	b.Helper()
	b.each(want, func(name, path string) {
		x, err := os.ReadFile(path)
		y, err2 := os.ReadFile(filepath.Join(got, "units", name))
		if err != nil || err2 != nil || !bytes.Equal(x, y) {
			b.Errorf("%s is not the same in %s and %s (%v, %v)", name, want, got, err, err2)
		}
		files++
	})
	if files < 6 {
		b.Errorf("only %d files", files)
	}
	return files
}

// distance is how far a run's weights, losses and scores lie from another's, at most. A key's bias is left out: its gradient is
// rounding noise, which AdamW blows up.
func (b *bench) distance(want, got string) (weights, losses, scores float64) {
	b.Helper()
	compared := 0
	b.each(want, func(name, path string) {
		other := filepath.Join(got, "units", name)
		switch {
		case filepath.Ext(name) == ".safetensors":
			x, y := b.load(path), b.load(other)
			for tensor := range x {
				if !strings.HasSuffix(tensor, "key.bias") {
					weights = max(weights, apart(x[tensor].Data, y[tensor].Data))
				}
			}
			compared++
		case filepath.Base(name) == "metrics.jsonl":
			losses = max(losses, apart(b.losses(path), b.losses(other)))
			compared++
		case filepath.Base(name) == "results.json":
			var x, y pipeline.Result
			b.read(path, &x)
			b.read(other, &y)
			for i := range x.Turns {
				scores = max(scores, apart(x.Turns[i].Scores, y.Turns[i].Scores))
			}
		}
	})
	if compared < 12 {
		b.Errorf("only %d files compared", compared)
	}
	return weights, losses, scores
}

func (b *bench) load(path string) safetensors.Tensors {
	b.Helper()
	tensors, err := safetensors.Load(path)
	if err != nil {
		b.Fatal(err)
	}
	return tensors
}

// losses are those of a unit's steps.
func (b *bench) losses(path string) (all []float64) {
	b.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var step struct{ Loss float64 }
		if err := json.Unmarshal([]byte(line), &step); err != nil {
			b.Fatalf("%s: %v", path, err)
		}
		all = append(all, step.Loss)
	}
	return all
}

// apart is the largest difference of two lists, infinite where their lengths or kinds of number differ.
func apart[T float32 | float64](x, y []T) (most float64) {
	if len(x) != len(y) {
		return math.Inf(1)
	}
	for i := range x {
		d := math.Abs(float64(x[i]) - float64(y[i]))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		most = max(most, d)
	}
	return most
}
