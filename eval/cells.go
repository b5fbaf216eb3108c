package eval

import (
	"math"
	"slices"

	"metalora/eval/stats"
)

func (r Record) key() Place { return Place{r.Method, r.Adaptation, r.Task, r.Seed, r.Limit} }

// cell is one place's records, several where the held-out dialogues rotate, with their metrics pooled.
type cell struct {
	Place
	Last, Best Metrics
	Records    []Record
}

// cells are those that trained on all turns.
func (s *Study) cells() []cell {
	return s.pooled(func(p Place) bool { return p.Limit == 0 })
}

// pooled pools the records of each place that is meant, in the order of first occurrence. A place that lacks a fold has no cell.
func (s *Study) pooled(meant func(Place) bool) []cell {
	at, open := map[Place]int{}, map[Place]bool{}
	for _, p := range s.Open {
		open[p] = true
	}
	var cells []cell
	for _, r := range s.Records {
		if !meant(r.key()) || open[r.key()] {
			continue
		}
		i, known := at[r.key()]
		if !known {
			i = len(cells)
			at[r.key()] = i
			cells = append(cells, cell{Place: r.key()})
		}
		cells[i].Records = append(cells[i].Records, r)
	}
	for i := range cells {
		var last, best []Metrics
		for _, r := range cells[i].Records {
			last, best = append(last, r.last()), append(best, r.best())
		}
		cells[i].Last, cells[i].Best = pool(last), pool(best)
	}
	return cells
}

// atEpoch is the held-out metrics after an epoch, false where a fold did not record it.
func (c cell) atEpoch(epoch int) (Metrics, bool) {
	var parts []Metrics
	for _, r := range c.Records {
		i := slices.IndexFunc(r.Epochs, func(e Epoch) bool { return e.Epoch == epoch })
		if i < 0 {
			return Metrics{}, false
		}
		parts = append(parts, r.Epochs[i].HeldOut)
	}
	return pool(parts), true
}

func accuracy(c cell) float64 { return c.Last.Accuracy }

// bestAccuracy is NaN where a fold had no epochs to pick from.
func bestAccuracy(c cell) float64 {
	if slices.ContainsFunc(c.Records, Record.onlyLast) {
		return math.NaN()
	}
	return c.Best.Accuracy
}

// distinct lists a property of things in the order of first occurrence.
func distinct[T any, K comparable](things []T, property func(T) K) []K {
	var keys []K
	seen := map[K]bool{}
	for _, t := range things {
		if k := property(t); !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	return keys
}

func where[T any](things []T, keep func(T) bool) []T {
	var kept []T
	for _, t := range things {
		if keep(t) {
			kept = append(kept, t)
		}
	}
	return kept
}

func taskOf(c cell) string       { return c.Task }
func seedOf(c cell) int          { return c.Seed }
func methodOf(c cell) string     { return c.Method }
func adaptationOf(c cell) string { return c.Adaptation }

// seedsOf lists the seeds of cells, ascending.
func seedsOf(cells []cell) []int { return slices.Sorted(slices.Values(distinct(cells, seedOf))) }

// taskMeans is the mean over seeds of a number, task by task.
func taskMeans(cells []cell, tasks []string, number func(cell) float64) []float64 {
	means := make([]float64, len(tasks))
	for i, task := range tasks {
		means[i] = stats.Mean(numbers(where(cells, func(c cell) bool { return c.Task == task }), number))
	}
	return means
}

// seedMeans is the mean over tasks of a number, for each seed that has all the tasks: other seeds had other, perhaps easier,
// tasks and would pass as spread over seeds.
func seedMeans(cells []cell, tasks []string, number func(cell) float64) []float64 {
	var means []float64
	for _, seed := range seedsOf(cells) {
		of := where(cells, func(c cell) bool { return c.Seed == seed })
		if len(of) == len(tasks) {
			means = append(means, stats.Mean(numbers(of, number)))
		}
	}
	return means
}

func numbers(cells []cell, number func(cell) float64) []float64 {
	values := make([]float64, len(cells))
	for i, c := range cells {
		values[i] = number(c)
	}
	return values
}
