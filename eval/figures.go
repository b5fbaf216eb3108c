package eval

import (
	"fmt"
	"math"
	"slices"

	"metalora/eval/chart"
	"metalora/eval/stats"
)

// Figure is a chart with the caption that belongs below it and a name for its files.
type Figure struct {
	Name, Caption string
	Chart         *chart.Chart
}

// Figures draws the study: results, differences, accuracy by epoch and by task for each adaptation, and retraining. Figures without
// data are left out. A method has the same colour and glyph in all of them.
func (s *Study) Figures() []Figure {
	results := s.Results()
	series := s.series()
	figures := []Figure{s.resultFigure(results, series), s.differenceFigure(series)}
	leads := leading(s.asked(s.Comparisons()))
	for _, adaptation := range distinct(results, func(r Result) string { return r.Adaptation }) {
		of := where(results, func(r Result) bool { return r.Adaptation == adaptation })
		figures = append(figures, s.epochFigure(adaptation, of, series), taskFigure(adaptation, of, series))
	}
	for _, lead := range leads {
		figures = append(figures, scatterFigure(lead, results, series))
	}
	for _, adaptation := range s.limited() {
		figures = append(figures, s.turnsFigure(adaptation, series))
	}
	figures = append(figures, s.rankFigure(results, series), s.lossFigure(series), s.retrainingFigure(series))
	figures = where(figures, func(f Figure) bool { return !f.Chart.Empty() })
	seen := map[string]int{}
	for i, f := range figures {
		if seen[f.Name]++; seen[f.Name] > 1 {
			figures[i].Name = fmt.Sprintf("%s-%d", f.Name, seen[f.Name])
		}
		if s.Synthetic {
			figures[i].Caption = "Synthetic dialogues. " + figures[i].Caption
			figures[i].Chart.Title += " (synthetic dialogues)"
		}
	}
	return figures
}

// series numbers the methods.
func (s *Study) series() map[string]int {
	var methods []string
	for _, r := range s.Records {
		methods = append(methods, r.Method)
	}
	for _, c := range s.Curves {
		methods = append(methods, c.Method)
	}
	series := map[string]int{}
	for i, method := range distinct(methods, func(m string) string { return m }) {
		series[method] = i
	}
	return series
}

// chance is the mean chance level of results in percent, NaN of none.
func chance(results []Result) float64 {
	var levels []float64
	for _, r := range results {
		levels = append(levels, 100*r.Chance)
	}
	return stats.Mean(levels)
}

func (s *Study) resultFigure(results []Result, series map[string]int) Figure {
	c := chart.New("Accuracy on unseen tasks", "Large: mean over tasks with its 95 % interval. Small: each task, mean over seeds. After the last epoch.",
		"accuracy on held-out turns (%)", "")
	c.X.Min = 0
	c.Height = chart.RowHeight(len(results))
	c.Y.Labels = []string{}
	for i := range results {
		r := results[len(results)-1-i] // rows count from below
		row := float64(i)
		c.Y.Labels = append(c.Y.Labels, r.Adaptation+" · "+r.Method)
		var faint []chart.Point
		for _, v := range r.TaskAccuracy {
			faint = append(faint, chart.At(row, 100*v))
		}
		mean := chart.Point{X: row, Y: 100 * r.Accuracy, Low: 100 * r.Interval.Low, High: 100 * r.Interval.High}
		c.Intervals("", series[r.Method], []chart.Point{mean}, faint)
	}
	if len(results) > 0 {
		c.Level(chanceName(results), chance(results), true)
	}
	return Figure{Name: "results", Chart: c,
		Caption: "Accuracy on held-out turns of the test tasks after the last epoch, by adaptation and method. The interval is Student's t over tasks."}
}

func chanceName(results []Result) string { return fmt.Sprintf("guessing, %.1f %%", chance(results)) }

func (s *Study) differenceFigure(series map[string]int) Figure {
	planned := where(s.Comparisons(), func(c Comparison) bool { return c.Planned })
	c := chart.New("Difference from "+s.baseline(), "Large: mean over tasks with its 95 % interval. Small: each task, mean over seeds. Right of zero is better.",
		"difference in accuracy (percentage points)", "")
	c.Height = chart.RowHeight(len(planned))
	c.Y.Labels = []string{}
	for i := range planned {
		p := planned[len(planned)-1-i]
		row := float64(i)
		c.Y.Labels = append(c.Y.Labels, p.Adaptation+" · "+p.A)
		var faint []chart.Point
		for _, v := range p.Differences {
			faint = append(faint, chart.At(row, 100*v))
		}
		mean := chart.Point{X: row, Y: 100 * p.Difference, Low: 100 * p.Interval.Low, High: 100 * p.Interval.High}
		c.Intervals("", series[p.A], []chart.Point{mean}, faint)
	}
	c.Level("no difference", 0, true)
	return Figure{Name: "differences", Chart: c, Caption: "Accuracy less that of " + s.baseline() +
		" on the same tasks and seeds. An interval that holds zero does not tell the two apart; the intervals are not adjusted for being several."}
}

func (s *Study) epochFigure(adaptation string, results []Result, series map[string]int) Figure {
	c := chart.New("Accuracy by epoch, "+adaptation, "Mean over tasks of means over seeds; band: ± 1 standard error over tasks.",
		"epoch", "accuracy on held-out turns (%)")
	c.Y.Min, c.X.Whole = 0, true
	cells := where(s.cells(), func(x cell) bool { return x.Adaptation == adaptation })
	for _, r := range where(results, Result.Complete) {
		of := where(cells, func(x cell) bool { return x.Method == r.Method })
		if points := epochPoints(of); len(points) > 1 {
			c.Line(r.Method, series[r.Method], points)
		}
	}
	if !c.Empty() {
		c.Level(chanceName(results), chance(results), false)
	}
	return Figure{Name: "epochs-" + slug(adaptation), Chart: c,
		Caption: "Accuracy on held-out turns while adapting with " + adaptation + ". Tables give the last epoch; the highest point of a curve was picked with hindsight."}
}

// epochPoints is the curve over the epochs that every cell has: others would mix in other tasks.
func epochPoints(cells []cell) []chart.Point {
	tasks := distinct(cells, taskOf)
	var epochs []int
	for _, c := range cells {
		for _, r := range c.Records {
			for _, e := range r.Epochs {
				epochs = append(epochs, e.Epoch)
			}
		}
	}
	slices.Sort(epochs)
	var points []chart.Point
	for _, epoch := range slices.Compact(epochs) {
		missing := slices.ContainsFunc(cells, func(c cell) bool { _, there := c.atEpoch(epoch); return !there })
		if missing {
			continue
		}
		means := taskMeans(cells, tasks, func(c cell) float64 { m, _ := c.atEpoch(epoch); return 100 * m.Accuracy })
		mean, spread := stats.Mean(means), stats.StandardError(means)
		points = append(points, chart.Point{X: float64(epoch), Y: mean, Low: mean - spread, High: mean + spread})
	}
	return points
}

// fewBars is up to how many bars a task are wide enough to bear error bars.
const fewBars = 6

func taskFigure(adaptation string, results []Result, series map[string]int) Figure {
	marks := "Mean over seeds; error bar: ± 1 standard deviation over seeds."
	if len(results) > fewBars {
		marks = "Mean over seeds."
	}
	c := chart.New("Accuracy by task, "+adaptation, marks, "", "accuracy on held-out turns (%)")
	c.Y.Min = 0
	var tasks []string
	for _, r := range results {
		tasks = append(tasks, r.Tasks...)
	}
	c.X.Labels = distinct(tasks, func(t string) string { return t })
	width := 0.8 / float64(max(1, len(results)))
	for i, r := range results {
		var points []chart.Point
		for j, task := range r.Tasks {
			x := float64(slices.Index(c.X.Labels, task)) + (float64(i)-float64(len(results)-1)/2)*width
			mean, spread := 100*r.TaskAccuracy[j], 100*r.TaskSpread[j]
			if len(results) > fewBars {
				spread = math.NaN()
			}
			points = append(points, chart.Point{X: x, Y: mean, Low: math.Max(0, mean-spread), High: mean + spread})
		}
		c.Bars(r.Method, series[r.Method], points, 0.92*width)
	}
	if !c.Empty() {
		c.Level(chanceName(results), chance(results), false)
	}
	return Figure{Name: "tasks-" + slug(adaptation), Chart: c,
		Caption: "Accuracy on held-out turns after the last epoch of adapting with " + adaptation + ", task by task."}
}
