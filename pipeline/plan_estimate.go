package pipeline

// Estimate is what a unit will take; 0 where nothing is known.
type Estimate struct {
	Seconds float64
	Bytes   int64
}

// Estimate says of every unit what it took or will take. A finished unit gives its own time and peak; one that is not
// done the mean of finished units that do the same (method and family, else kind). Memory falls back on the weights that
// a unit holds; there is no such fallback for time, which hangs on the computer.
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
	parameters := e.parameters()
	for i := range e.Units {
		u := &e.Units[i]
		if states[i] == Done {
			continue
		}
		estimates[i].Bytes = u.weights(parameters)
		for _, key := range u.likeness() {
			if m := seen[key]; m != nil {
				estimates[i] = Estimate{m.seconds / float64(m.n), m.bytes}
				break
			}
		}
	}
	return estimates
}

// likeness are keys that units share which take about the same, the closest first.
func (u *Unit) likeness() []string {
	return []string{string(u.Kind) + u.Method + "/" + u.Family, string(u.Kind) + u.Family, string(u.Kind)}
}

// weights is the memory for parameters: 4 bytes each for the value, and while all of them train as much again for the
// gradient, for two moments, and for a retraining's kept epoch or the base that full fine-tuning leaves as it is.
// Reptile has its inner loop's moments and starting point besides.
func (u *Unit) weights(parameters int64) int64 {
	switch {
	case u.Method == "reptile" && u.Kind == KindRetrain:
		return 4 * 8 * parameters
	case u.Kind == KindRetrain && u.Method != "none", u.Family == "full":
		return 4 * 5 * parameters
	}
	return 4 * parameters
}

// parameters counts the base's weights, 0 where they cannot be known without reading them.
func (e *Experiment) parameters() int64 {
	shape, err := e.Config.architecture()
	if err != nil {
		return 0
	}
	var n int64
	for _, p := range shape.Parameters() {
		size := int64(1)
		for _, d := range p.Shape {
			size *= int64(d)
		}
		n += size
	}
	return n
}
