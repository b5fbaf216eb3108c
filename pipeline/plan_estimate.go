package pipeline

// Estimate is what a unit will take; 0 where nothing is known.
type Estimate struct {
	Seconds float64
	Bytes   int64
}

// Estimate says of every unit what it took or will take. A finished unit gives its own time and peak; one that is not
// done the mean time of finished units that do the same (method and family, else kind); as long as there are none, nothing is
// known, since time hangs on the computer. Memory is that of finished units of the same method and family, or else counted
// from the graph, the weights and the sizes of turns.
func (e *Experiment) Estimate(states []State) []Estimate {
	type mean struct {
		seconds float64
		bytes   int64
		n       int
	}
	seen := map[string]*mean{}
	estimates := make([]Estimate, len(e.Units))
	for i := range e.Units {
		u := &e.Units[i]
		if states[i] != Done {
			continue
		}
		p := e.Provenance(u)
		estimates[i] = Estimate{p.Seconds, p.PeakBytes}
		for _, key := range u.likeness() {
			if seen[key] == nil {
				seen[key] = &mean{}
			}
			m := seen[key]
			m.seconds, m.bytes, m.n = m.seconds+p.Seconds, max(m.bytes, p.PeakBytes), m.n+1
		}
	}
	memory := e.memory()
	for i := range e.Units {
		u := &e.Units[i]
		if states[i] == Done {
			continue
		}
		for _, key := range u.likeness() {
			if m := seen[key]; m != nil {
				estimates[i].Seconds = m.seconds / float64(m.n)
				break
			}
		}
		if m := seen[u.likeness()[0]]; m != nil && m.bytes > 0 {
			estimates[i].Bytes = m.bytes
		} else {
			estimates[i].Bytes = memory(u)
		}
	}
	return estimates
}

// likeness are keys that units share which take about the same, the closest first.
func (u *Unit) likeness() []string {
	return []string{string(u.Kind) + u.Method + "/" + u.Family, string(u.Kind) + u.Family, string(u.Kind)}
}

// PeakBytes estimates what the unit of an experiment that takes most memory takes; 0 where nothing is known.
func (e *Experiment) PeakBytes() int64 {
	memory, most := e.memory(), int64(0)
	for i := range e.Units {
		most = max(most, memory(&e.Units[i]))
	}
	return most
}
