package linear

import (
	"context"

	"gonum.org/v1/gonum/mat"
)

// The bases that a new task is learned from to the end.
const (
	BaseExact  = "A* itself"
	BaseMeta   = "Meta-LoRA"
	BaseSR     = "SR"
	BaseSRWide = "SR, adapter of rank k(T+1)"
)

// slopePart learns the new task to the end from more and more samples, in several sizes.
func (c *Config) slopePart(ctx context.Context, s study) (Results, error) {
	var results Results
	for _, d := range c.Slope.Dimension {
		for _, k := range c.Slope.Rank {
			p := c.Point
			p.Dimension, p.Rank = d, k
			bases, err := s.bases(p)
			if err != nil {
				return Results{}, err
			}
			exact := NewTruth(uint64(c.Seed), p).A
			for _, n := range c.Slope.Samples {
				if err := ctx.Err(); err != nil {
					return Results{}, err
				}
				p.AdaptSamples = n
				for _, from := range []struct {
					name string
					base *mat.Dense
					rank int
				}{{BaseExact, exact, k}, {BaseMeta, bases[NameMeta], k}, {BaseSR, bases[NameSR], k},
					{BaseSRWide, bases[NameSR], min(d, k*(p.Tasks+1))}} {
					f, err := s.fit(p, from.name, from.base, from.rank)
					if err != nil {
						return Results{}, err
					}
					results.Fitted = append(results.Fitted, f)
				}
			}
		}
	}
	return results, nil
}

// fit learns the new task to the end from one base.
func (s study) fit(p Point, name string, base *mat.Dense, rank int) (Fitted, error) {
	samples, weights := s.task(p)
	f := Fitted{Base: name, Point: p, Noise: s.noise, Run: s.run, Rank: rank, FromTruth: distance(base, NewTruth(uint64(s.Seed), p).A)}
	var last *mat.Dense // the descent writes its weights into one place
	s.adapt(p, base, samples, rank, s.Slope.Steps, s.Slope.Tolerance, func(step int, w *mat.Dense) { f.Steps, last = step, w })
	f.Error = samples.Error(last, weights) / float64(samples.N)
	return f, finite("adapting to the end", f.Error)
}
