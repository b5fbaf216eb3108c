// Package mpitest lets goroutines be the ranks of a run: what several processes do together can be tested in one, without MPI.
package mpitest

import (
	"errors"
	"slices"
	"sync"
)

// ErrAborted is what the ranks get that wait for one that has ended all.
var ErrAborted = errors.New("another rank has ended the job")

// crew is the place where ranks meet and read what the others brought.
type crew struct {
	mutex   sync.Mutex
	met     *sync.Cond
	inside  int
	round   int
	aborted bool
	floats  [][]float32
	values  [][]float64
}

// Rank is one of the ranks. Each is for one goroutine.
type Rank struct {
	crew *crew
	rank int
}

// Each runs f on so many ranks at the same time and returns when all have returned.
func Each(size int, f func(r Rank)) {
	c := &crew{floats: make([][]float32, size), values: make([][]float64, size)}
	c.met = sync.NewCond(&c.mutex)
	var all sync.WaitGroup
	for rank := range size {
		all.Go(func() { f(Rank{c, rank}) })
	}
	all.Wait()
}

// Rank is this rank's place, from 0.
func (r Rank) Rank() int { return r.rank }

// Size is how many there are.
func (r Rank) Size() int { return len(r.crew.values) }

// How says how sums are made.
func (r Rank) How() (chunk int, algorithm string) { return 1, "in order of ranks" }

// Sum adds the values of all ranks up, in place, in order of ranks.
func (r Rank) Sum(values []float32) error {
	r.crew.floats[r.rank] = slices.Clone(values)
	if err := r.crew.meet(); err != nil {
		return err
	}
	for i := range values {
		values[i] = r.crew.floats[0][i]
		for _, more := range r.crew.floats[1:] {
			values[i] += more[i]
		}
	}
	return r.crew.meet()
}

// Gather returns every rank's values, by rank.
func (r Rank) Gather(values []float64) ([][]float64, error) {
	r.crew.values[r.rank] = slices.Clone(values)
	if err := r.crew.meet(); err != nil {
		return nil, err
	}
	all := slices.Clone(r.crew.values)
	return all, r.crew.meet()
}

// Abort ends the waiting of all ranks.
func (r Rank) Abort() {
	r.crew.mutex.Lock()
	defer r.crew.mutex.Unlock()
	r.crew.aborted = true
	r.crew.met.Broadcast()
}

// meet returns when all ranks are here, or one has ended all.
func (c *crew) meet() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	round := c.round
	if c.inside++; c.inside == len(c.values) {
		c.inside = 0
		c.round++
		c.met.Broadcast()
	}
	for c.round == round && !c.aborted {
		c.met.Wait()
	}
	if c.aborted {
		return ErrAborted
	}
	return nil
}
