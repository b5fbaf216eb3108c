package linear

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"metalora/pipeline/rng"
)

// part is a share of a study that is computed, and kept, as a whole. It depends on the settings alone.
type part struct {
	name string
	run  func(context.Context) (Results, error)
}

// parts lists all of a study's, the longest first, so that threads end together.
func (c *Config) parts() []part {
	var parts []part
	for _, x := range c.Landscape.Cases {
		for truth := range c.Landscape.Truths {
			parts = append(parts, part{fmt.Sprintf("landscape-d%d-T%d-k%d-truth%d", x.Dimension, x.Tasks, x.Rank, truth),
				func(ctx context.Context) (Results, error) { return c.landscapePart(ctx, x, truth) }})
		}
	}
	for _, kind := range []struct {
		name string
		run  func(context.Context, study) (Results, error)
	}{{"slope", c.slopePart}, {"figures", c.figuresPart}, {"recovery", c.recoveryPart}} {
		for _, noise := range c.Noise {
			for run := range c.Runs {
				parts = append(parts, part{fmt.Sprintf("%s-noise%g-run%d", kind.name, noise, run),
					func(ctx context.Context) (Results, error) { return kind.run(ctx, study{c, noise, run}) }})
			}
		}
	}
	return parts
}

// study is one run under one noise. The truth is that of all runs; data and starts are the run's own, and differ
// between noises in nothing but the noise's size.
type study struct {
	*Config
	noise float64
	run   int
}

func (s study) stream(name ...any) *rng.Stream {
	return rng.New(uint64(s.Seed), append([]any{"linear", "run", s.run}, name...)...)
}

// bases retrains both ways on the same samples.
func (s study) bases(p Point) (map[string]*mat.Dense, error) {
	truth := NewTruth(uint64(s.Seed), p)
	var tasks []Moments
	var us []*mat.Dense
	for t, u := range truth.Tasks {
		tasks = append(tasks, Draw(truth.Weights(u), p.Samples, s.noise, s.stream("samples", t)).Moments())
		us = append(us, start(p, p.Rank, s.Start, s.stream("start", t)))
	}
	bases := map[string]*mat.Dense{NameSR: SR(tasks, s.Retrain), NameMeta: MetaLoRA(tasks, us, s.Retrain)}
	what := fmt.Sprintf("retraining with d = %d, T = %d, N = %d, k = %d", p.Dimension, p.Tasks, p.Samples, p.Rank)
	return bases, finite(what, bases[NameSR].Norm(2), bases[NameMeta].Norm(2))
}

// task is the new task's samples and weights.
func (s study) task(p Point) (Moments, *mat.Dense) {
	truth := NewTruth(uint64(s.Seed), p)
	weights := truth.Weights(truth.New)
	return Draw(weights, p.AdaptSamples, s.noise, s.stream("new samples")).Moments(), weights
}

// adapt learns the new task from a base, the same way from every base, and shows each step's weights.
func (s study) adapt(p Point, base *mat.Dense, m Moments, rank, steps int, tolerance float64, seen func(step int, w *mat.Dense)) {
	u, v := start(p, rank, s.Start, s.stream("new start", "U")), start(p, rank, s.Start, s.stream("new start", "V"))
	Adapt(base, m, u, v, AdaptDescent{s.Adapt.Rate, steps, tolerance}, seen)
}

// adapterRank is the rank of a new task's adapter: k, and more where two tasks leave A* open (Theorem 2).
func (c *Config) adapterRank(p Point) int {
	if p.Tasks == 2 {
		return c.Adapt.TwoTaskRank * p.Rank
	}
	return p.Rank
}
