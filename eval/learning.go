package eval

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"metalora/eval/chart"
	"metalora/eval/stats"
)

// curvePoint is a method's accuracy after adaptation on so many turns: the mean over tasks of means over seeds.
type curvePoint struct {
	Turns    float64 // allowed; of all turns, the mean number that tasks have
	All      bool
	Accuracy float64
	Error    float64 // standard error over tasks
}

// learningCurve is a method's curve under one adaptation, by number of turns. No adaptation is its point at zero. A point that
// lacks a task or a seed is left out.
func (s *Study) learningCurve(method, adaptation string) []curvePoint {
	tasks, seeds := s.extent()
	cells := s.pooled(func(p Place) bool {
		return p.Method == method && (p.Adaptation == adaptation || p.Adaptation == "none" && p.Limit == 0)
	})
	type size struct {
		adaptation string
		limit      int
	}
	var points []curvePoint
	for _, at := range distinct(cells, func(c cell) size { return size{c.Adaptation, c.Limit} }) {
		of := where(cells, func(c cell) bool { return c.Adaptation == at.adaptation && c.Limit == at.limit })
		if len(of) < len(tasks)*len(seeds) {
			continue
		}
		means := taskMeans(of, tasks, accuracy)
		p := curvePoint{Turns: float64(at.limit), Accuracy: stats.Mean(means), Error: stats.StandardError(means)}
		if at.adaptation != "none" && at.limit == 0 {
			p.All = true
			p.Turns = stats.Mean(numbers(of, func(c cell) float64 { return float64(c.Records[0].TrainTurns) }))
		}
		points = append(points, p)
	}
	slices.SortFunc(points, func(a, b curvePoint) int {
		if a.All != b.All {
			return map[bool]int{true: 1, false: -1}[a.All]
		}
		return int(a.Turns) - int(b.Turns)
	})
	return points
}

// limited lists the adaptations that were given fewer turns than there are.
func (s *Study) limited() []string {
	return distinct(where(s.Records, func(r Record) bool { return r.Limit > 0 }), func(r Record) string { return r.Adaptation })
}

func (s *Study) turnsTable() Table {
	t := Table{Key: "turns", Title: "Accuracy by number of adaptation turns (%)",
		Columns: columns("adaptation|adaptation", "method|method", "turns|turns", "accuracy|acc.", "task_error|± tasks"),
		Notes:   []string{"The first so many training turns of each task; 0: no adaptation, in which a method scores with what its retraining left; all: mean number in brackets."}}
	for _, adaptation := range s.limited() {
		for _, method := range distinct(s.Records, func(r Record) string { return r.Method }) {
			for _, p := range s.learningCurve(method, adaptation) {
				turns := Count(int(p.Turns))
				if p.All {
					turns.Text = fmt.Sprintf("all (%.0f)", p.Turns)
				}
				t.Rows = append(t.Rows, []Cell{Words(adaptation), Words(method), turns, Percent(p.Accuracy), Percent(p.Error)})
			}
		}
	}
	return t
}

func (s *Study) turnsFigure(adaptation string, series map[string]int) Figure {
	c := chart.New("Learning curve, "+adaptation, "Mean over tasks and seeds after the last epoch; band: ± 1 standard error over tasks. Last point: all turns.",
		"training turns of the task", "accuracy on held-out turns (%)")
	c.Y.Min, c.X.Min = 0, 0
	for _, method := range distinct(s.Records, func(r Record) string { return r.Method }) {
		var points []chart.Point
		for _, p := range s.learningCurve(method, adaptation) {
			points = append(points, chart.Point{X: p.Turns, Y: 100 * p.Accuracy, Low: 100 * (p.Accuracy - p.Error), High: 100 * (p.Accuracy + p.Error)})
		}
		if len(points) > 1 {
			c.Line(method, series[method], points)
		}
	}
	return Figure{Name: "turns-" + slug(adaptation), Chart: c,
		Caption: "Accuracy on held-out turns against how many turns of the task " + adaptation + " was given. At zero a method is not adapted at all."}
}

// ranked is the name of an adaptation with a rank: "lora-8".
var ranked = regexp.MustCompile(`^(.+)-(\d+)$`)

// rankFigure draws accuracy against the rank of the adaptation, where there are several ranks of one kind.
func (s *Study) rankFigure(results []Result, series map[string]int) Figure {
	c := chart.New("Accuracy by rank of the adaptation", "Mean over tasks of means over seeds, after the last epoch; band: ± 1 standard error over tasks.",
		"rank", "accuracy on held-out turns (%)")
	c.Y.Min, c.X.Min, c.X.Whole = 0, 0, true
	curves := map[string][]chart.Point{}
	for _, r := range where(results, Result.Complete) {
		match := ranked.FindStringSubmatch(r.Adaptation)
		if match == nil {
			continue
		}
		rank, err := strconv.Atoi(match[2])
		if err != nil {
			continue // more digits than any rank has
		}
		curves[r.Method] = append(curves[r.Method], chart.Point{X: float64(rank), Y: 100 * r.Accuracy, Low: 100 * (r.Accuracy - r.TaskError), High: 100 * (r.Accuracy + r.TaskError)})
	}
	for _, method := range distinct(results, func(r Result) string { return r.Method }) {
		points := curves[method]
		slices.SortFunc(points, func(a, b chart.Point) int { return int(a.X - b.X) })
		if len(points) > 1 {
			c.Line(method, series[method], points)
		}
	}
	return Figure{Name: "ranks", Chart: c, Caption: "Accuracy on held-out turns against the rank of the adapter that adapts. Every rank scales its product by alpha / rank."}
}

// scatterFigure sets two methods against each other, a dot a task.
func scatterFigure(lead Comparison, results []Result, series map[string]int) Figure {
	c := chart.New(lead.A+" against "+lead.B+", "+lead.Adaptation, "A dot a task, mean over seeds, after the last epoch. Above the line "+lead.A+" is better.",
		lead.B+": accuracy (%)", lead.A+": accuracy (%)")
	c.Height = 340
	c.X.Min, c.Y.Min = 0, 0
	of := func(method string) Result {
		i := slices.IndexFunc(results, func(r Result) bool { return r.Method == method && r.Adaptation == lead.Adaptation })
		return results[i] // a comparison has both results
	}
	a, b := of(lead.A), of(lead.B)
	var points []chart.Point
	top := 0.0
	for i, task := range a.Tasks {
		x, y := 100*b.TaskAccuracy[slices.Index(b.Tasks, task)], 100*a.TaskAccuracy[i]
		points, top = append(points, chart.At(x, y)), max(top, x, y)
	}
	c.Diagonal("equal", 0, top)
	c.Dots(fmt.Sprintf("%d tasks", len(points)), series[lead.A], points)
	return Figure{Name: "scatter-" + slug(lead.Adaptation), Chart: c,
		Caption: "Each test persona's accuracy with " + lead.A + " against that with " + lead.B + ", both adapted with " + lead.Adaptation + "."}
}
