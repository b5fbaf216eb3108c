//go:build !mpi

package mpi

import (
	"fmt"
	"slices"
)

// World is this process alone.
type World struct{}

// Start refuses to be one of several processes of which none knows the others.
func Start() (*World, error) {
	if n := Launched(); n > 1 {
		return nil, fmt.Errorf("%d processes were started together, but this program is built without MPI: build it with `./task build:mpi`, or start it once", n)
	}
	return &World{}, nil
}

// Rank is 0.
func (w *World) Rank() int { return 0 }

// Size is 1.
func (w *World) Size() int { return 1 }

// Sum leaves the values as they are.
func (w *World) Sum([]float32) error { return nil }

// Gather returns the values.
func (w *World) Gather(values []float64) ([][]float64, error) {
	return [][]float64{slices.Clone(values)}, nil
}

// End has nothing to end.
func (w *World) End() error { return nil }

// Abort has nobody to end.
func (w *World) Abort(int) {}
