package train

import "math"

// Schedule is a linear warm-up from zero over Warmup steps, then a linear decay that reaches zero at step Total.
// Neither need be whole. The first step counts as 0, so its rate is zero where there is a warm-up, as in
// Hugging Face's get_linear_schedule_with_warmup.
type Schedule struct {
	Peak          float64
	Warmup, Total float64
}

// Rate is the learning rate of a step, counted from 0.
func (s Schedule) Rate(step int) float64 {
	x := float64(step)
	if x < s.Warmup {
		return s.Peak * (x / math.Max(1, s.Warmup))
	}
	return s.Peak * math.Max(0, (s.Total-x)/math.Max(1, s.Total-s.Warmup))
}

// OverRun warms up over a share of the run's steps and reaches zero at its end.
func OverRun(peak, warmup float64, steps int) Schedule {
	return Schedule{Peak: peak, Warmup: warmup * float64(steps), Total: float64(steps)}
}

// PublishedRetraining counts in batches of the first task, as the published code does: warm-up over a share of
// batches·epochs, zero at factor·batches·epochs. Its factor 6.67 stands for ten tasks of falling size.
func PublishedRetraining(peak, warmup, factor float64, batches, epochs int) Schedule {
	n := float64(batches * epochs)
	return Schedule{Peak: peak, Warmup: warmup * n, Total: n * factor}
}

// PublishedAdaptation is the same for one task, with both ends cut to whole steps, as the published code does.
func PublishedAdaptation(peak, warmup, factor float64, batches, epochs int) Schedule {
	n := float64(batches * epochs)
	return Schedule{Peak: peak, Warmup: math.Floor(warmup * n), Total: math.Floor(n * factor)}
}
