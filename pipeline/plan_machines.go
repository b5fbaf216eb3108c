package pipeline

import "slices"

// Makespan is how long the units that are not done take on so many machines, one unit on each at a time, in seconds: each unit
// starts on the machine that is free first, in the order of the plan among those whose needs are met, as batch engines do. It is 0
// where the time of a unit is not known.
func (e *Experiment) Makespan(states []State, estimates []Estimate, machines int) float64 {
	free := make([]float64, machines)
	ended := map[string]float64{}
	var left []int
	for i := range e.Units {
		switch {
		case states[i] == Done:
			ended[e.Units[i].ID] = 0
		case estimates[i].Seconds <= 0:
			return 0
		default:
			left = append(left, i)
		}
	}
	for len(left) > 0 {
		next, start := -1, 0.0
		m := slices.Index(free, slices.Min(free))
		for at, i := range left {
			ready, ok := e.ready(i, ended)
			if begin := max(ready, free[m]); ok && (next < 0 || begin < start) {
				next, start = at, begin
			}
			if next >= 0 && start == free[m] {
				break // nothing starts earlier
			}
		}
		if next < 0 {
			return 0 // a unit needs one that is not in the plan
		}
		i := left[next]
		left = slices.Delete(left, next, next+1)
		free[m] = start + estimates[i].Seconds
		ended[e.Units[i].ID] = free[m]
	}
	return slices.Max(free)
}

// ready is when the last of a unit's needs has ended; ok says that all have a time.
func (e *Experiment) ready(i int, ended map[string]float64) (at float64, ok bool) {
	for _, id := range e.Units[i].Needs {
		t, known := ended[id]
		if !known {
			return 0, false
		}
		at = max(at, t)
	}
	return at, true
}
