package pipeline

import (
	"fmt"
	"testing"
)

// TestMakespan counts hours of an experiment of the published size: 15 retrainings of 21 hours, 30 adaptations of each of 1.3.
func TestMakespan(t *testing.T) {
	e := &Experiment{}
	var estimates []Estimate
	add := func(hours float64, needs ...string) {
		e.Units = append(e.Units, Unit{ID: fmt.Sprint(len(e.Units)), Needs: needs})
		estimates = append(estimates, Estimate{Seconds: hours})
	}
	for range 15 {
		add(21)
	}
	for base := range 15 {
		for range 30 {
			add(1.3, fmt.Sprint(base))
		}
	}
	states := make([]State, len(e.Units))
	for i := range states {
		states[i] = Todo
	}
	if got := e.Makespan(states, estimates, 10); got < 90 || got > 90+1.3 {
		t.Errorf("10 machines: %v, want all of them busy until the last adaptation", got)
	}
	for machines, want := range map[int]float64{1: 900, 100: 21 + 5*1.3, 1000: 21 + 1.3} {
		if got := e.Makespan(states, estimates, machines); got < want-1e-6 || got > want+1e-6 {
			t.Errorf("%d machines: %v, want %v", machines, got, want)
		}
	}
	for i := range 15 {
		states[i] = Done
	}
	if got := e.Makespan(states, estimates, 45); got < 13-1e-6 || got > 13+1e-6 {
		t.Errorf("after the retrainings: %v, want 13", got)
	}
	estimates[20].Seconds = 0
	if got := e.Makespan(states, estimates, 45); got != 0 {
		t.Errorf("a time is not known: %v", got)
	}
}
