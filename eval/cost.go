package eval

import (
	"metalora/eval/stats"
)

// costTable is what methods and adaptations train: sizes that are the same wherever it runs. Times are in [Study.Durations].
func (s *Study) costTable() Table {
	t := Table{
		Key: "cost", Title: "What is trained",
		Columns: columns("stage|stage", "name|name", "parameters|parameters", "steps|steps"),
		Notes:   []string{"Retraining counts the parameters of all tasks together. Adaptation counts those of one task. Steps are the outer loop's where there are two."},
	}
	for _, method := range s.retrained() {
		of := where(s.Curves, func(c Curve) bool { return c.Method == method })
		var parameters, steps [2]int
		for i, c := range of {
			last := 0
			if n := len(c.Steps); n > 0 {
				last = c.Steps[n-1]
			}
			if i == 0 {
				parameters, steps = [2]int{c.Parameters, c.Parameters}, [2]int{last, last}
			}
			parameters, steps = widen(parameters, c.Parameters), widen(steps, last)
		}
		t.Rows = append(t.Rows, []Cell{Words("retraining"), Words(method), spanCell(parameters), spanCell(steps)})
	}
	for _, adaptation := range distinct(s.Records, func(r Record) string { return r.Adaptation }) {
		var parameters [2]int
		for i, r := range where(s.Records, func(r Record) bool { return r.Adaptation == adaptation }) {
			if i == 0 {
				parameters = [2]int{r.Parameters, r.Parameters}
			}
			parameters = widen(parameters, r.Parameters)
		}
		t.Rows = append(t.Rows, []Cell{Words("adaptation"), Words(adaptation), spanCell(parameters), Words("")})
	}
	return t
}

// spanCell is a count, or a range where runs differ.
func spanCell(ends [2]int) Cell {
	if ends[0] == ends[1] {
		return Count(ends[0])
	}
	return Words(span(ends))
}

// Durations is what retraining and adaptation cost in time and memory. It differs from run to run, so it stands in footers alone.
func (s *Study) Durations() Table {
	t := Table{Key: "durations", Title: "Time and memory of training with evaluation",
		Columns: columns("stage|stage", "method|method", "adaptation|adaptation", "units|units", "seconds|seconds", "unit_seconds|seconds a unit", "memory|MiB at most"),
		Notes:   []string{"MiB: the most that a unit's process held while it ran, of the unit of a row that held least; outside of Linux earlier units of the process are in it."}}
	for _, method := range s.retrained() {
		var seconds []float64
		memory := int64(0)
		for _, c := range where(s.Curves, func(c Curve) bool { return c.Method == method }) {
			seconds, memory = append(seconds, c.Seconds), least(memory, c.PeakBytes)
		}
		t.Rows = append(t.Rows, durationRow("retraining", method, "", seconds, memory))
	}
	type group struct{ method, adaptation string }
	groups := distinct(s.Records, func(r Record) group { return group{r.Method, r.Adaptation} })
	seconds, memory := map[group][]float64{}, map[group]int64{}
	for _, r := range s.Records {
		g := group{r.Method, r.Adaptation}
		seconds[g], memory[g] = append(seconds[g], r.Seconds), least(memory[g], r.PeakBytes)
	}
	for _, g := range groups {
		t.Rows = append(t.Rows, durationRow("adaptation", g.method, g.adaptation, seconds[g], memory[g]))
	}
	return t
}

func durationRow(stage, method, adaptation string, seconds []float64, memory int64) []Cell {
	size := Words("–")
	if memory > 0 {
		size = Count(int(memory >> 20))
	}
	mean := stats.Mean(seconds)
	return []Cell{Words(stage), Words(method), Words(adaptation), Count(len(seconds)), Number(mean*float64(len(seconds)), 1), Number(mean, 2), size}
}

// least is the smaller of two sizes, of which 0 is unknown.
func least(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
