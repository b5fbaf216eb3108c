package linear

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/mat"
)

// notes is at how many places a line of a figure is noted.
const notes = 50

// figuresPart learns the new task at every point of the paper's figures from both bases.
func (c *Config) figuresPart(ctx context.Context, s study) (Results, error) {
	var results Results
	known := map[Point]map[string]*mat.Dense{} // by what retraining depends on
	for _, f := range figures {
		for _, p := range f.points(c) {
			if err := ctx.Err(); err != nil {
				return Results{}, err
			}
			retrained := p
			retrained.AdaptSamples = 0
			if known[retrained] == nil {
				bases, err := s.bases(p)
				if err != nil {
					return Results{}, err
				}
				known[retrained] = bases
			}
			for _, method := range []string{NameSR, NameMeta} {
				line, err := s.line(f, p, method, known[retrained][method])
				if err != nil {
					return Results{}, err
				}
				results.Adapted = append(results.Adapted, line)
			}
		}
	}
	return results, nil
}

// line is the error of one base while the new task is learned.
func (s study) line(f figure, p Point, method string, base *mat.Dense) (Adapted, error) {
	samples, weights := s.task(p)
	steps := f.steps(s.Config)
	a := Adapted{Figure: f.key, Point: p, Noise: s.noise, Run: s.run, Method: method, Rank: s.adapterRank(p),
		Base: distance(base, NewTruth(uint64(s.Seed), p).A)}
	every := max(1, steps/notes)
	s.adapt(p, base, samples, a.Rank, steps, 0, func(step int, w *mat.Dense) {
		if step%every == 0 || step == steps {
			a.Steps = append(a.Steps, step)
			a.Errors = append(a.Errors, samples.Error(w, weights))
		}
	})
	return a, finite(fmt.Sprintf("adapting for the figure of %s", f.name), a.Errors...)
}

// recoveryPart retrains both ways on more and more samples and notes where it ends.
func (c *Config) recoveryPart(ctx context.Context, s study) (Results, error) {
	var results Results
	for _, tasks := range c.Vary.Tasks {
		for _, n := range c.Recovery.Samples {
			if err := ctx.Err(); err != nil {
				return Results{}, err
			}
			p := c.Point
			p.Tasks, p.Samples = tasks, n
			bases, err := s.bases(p)
			if err != nil {
				return Results{}, err
			}
			truth := NewTruth(uint64(c.Seed), p)
			for _, method := range []string{NameSR, NameMeta} {
				a := bases[method]
				results.Recovered = append(results.Recovered, Recovered{Point: p, Noise: s.noise, Run: s.run, Method: method,
					FromTruth: distance(a, truth.A), FromMid: distance(a, truth.Middle()), Singular: singular(a, truth.A)})
			}
		}
	}
	return results, nil
}
