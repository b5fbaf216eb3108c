package linear

import (
	"context"

	"metalora/pipeline/rng"
)

// landscapePart descends from a share of the random starts on the landscape of one draw of U*.
func (c *Config) landscapePart(ctx context.Context, x Case, truth int) (Results, error) {
	l := c.Landscape
	var results Results
	adapters := draw(x, 1, rng.New(uint64(c.Seed), "linear", "landscape", truth))
	landscape := NewLandscape(adapters.Tasks)
	for start := truth; start < l.Starts; start += l.Truths {
		if err := ctx.Err(); err != nil {
			return Results{}, err
		}
		s := rng.New(uint64(c.Seed), "linear", "landscape", truth, "start", start)
		end := l.Descent.Run(landscape, draw(x, l.Start, s), adapters)
		if err := finite("descending on the landscape", end.Loss, end.Gradient, end.Smallest); err != nil {
			return Results{}, err
		}
		results.Rests = append(results.Rests, Rest{Case: x, Truth: truth, Start: start, End: end})
	}
	return results, nil
}

// draw draws adapters from N(0, deviation²).
func draw(x Case, deviation float64, s *rng.Stream) Adapters {
	a := NewAdapters(x.Tasks, x.Dimension, x.Rank)
	for i := range a.Values {
		a.Values[i] = deviation * s.Normal()
	}
	return a
}
