package eval

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
)

var (
	//go:embed parts.html
	partsSource string // what every page is made of: style, table, figure
	//go:embed report.html
	pageSource string

	page = templateOf(pageSource)
)

// templateOf is a page's template that may use the parts.
func templateOf(source string) *template.Template {
	return template.Must(template.Must(template.New("page").Parse(partsSource)).Parse(source))
}

// pageData is what the template shows.
type pageData struct {
	*Study
	Answer    []string
	Cautions  []string
	Results   *Table
	Samples   *Table
	Compared  *Table
	Spread    *Table
	Retrained *Table
	Turns     *Table
	Shown     *Table // examples
	Cost      *Table
	Tasks     []Table
	Lead      []pageFigure // results and differences
	ByTask    []pageFigure
	ByEpoch   []pageFigure
	BySize    []pageFigure // turns and ranks
	Training  []pageFigure
	Durations Table
}

// pageFigure is a figure as the page holds it: the drawing inline.
type pageFigure struct {
	Name, Caption string
	SVG           template.HTML
}

// HTML is the report as one self-contained page.
func (s *Study) HTML() ([]byte, error) {
	data := pageData{Study: s, Answer: s.Answer(), Cautions: s.Cautions(), Durations: s.Durations()}
	data.place(s.Summary())
	for _, f := range s.Figures() {
		drawn, err := f.inline()
		if err != nil {
			return nil, err
		}
		data.show(drawn)
	}
	return fill(page, data)
}

// inline draws a figure for a page.
func (f Figure) inline() (pageFigure, error) {
	svg, err := f.Chart.Inline(f.Chart.Title + ". " + f.Chart.Subtitle)
	if err != nil {
		return pageFigure{}, fmt.Errorf("drawing figure %s: %w", f.Name, err)
	}
	// The chart escapes the texts in its drawing, so the markup is ours alone.
	return pageFigure{Name: f.Name, Caption: f.Caption, SVG: template.HTML(svg)}, nil
}

// place puts each table into its section.
func (d *pageData) place(tables []Table) {
	for _, t := range tables {
		switch t.Key {
		case "results":
			main := t.Only("method", "adaptation", "accuracy", "task_error", "low", "high", "seed_error", "hits5", "mrr", "best", "chance", "parameters")
			samples := t.Only("method", "adaptation", "tasks", "seeds", "turns", "done", "expected")
			samples.Title, samples.Notes = "Sample sizes", []string{"turns: held out, of all tasks together, under one seed. done: pairs of task and seed, of those in the study."}
			d.Results, d.Samples = &main, &samples
		case "comparisons":
			t = t.few()
			d.Compared = &t
		case "turns":
			d.Turns = &t
		case "examples":
			d.Shown = &t
		case "cost":
			d.Cost = &t
		case "spread":
			d.Spread = &t
		case "retraining":
			d.Retrained = &t
		default:
			d.Tasks = append(d.Tasks, t)
		}
	}
}

// fewRows is how many rows of comparisons a page shows before it leaves out the exploratory ones.
const fewRows = 40

// few leaves exploratory comparisons to the file where there are many.
func (t Table) few() Table {
	if len(t.Rows) <= fewRows {
		return t
	}
	all := len(t.Rows)
	t.Rows = where(t.Rows, func(row []Cell) bool { return row[len(row)-1].Text != "exploratory" })
	t.Notes = append([]string{fmt.Sprintf("%d exploratory comparisons are in comparisons.csv alone.", all-len(t.Rows))}, t.Notes...)
	return t
}

// show puts a figure into its section.
func (d *pageData) show(f pageFigure) {
	starts := func(prefix string) bool { return bytes.HasPrefix([]byte(f.Name), []byte(prefix)) }
	switch {
	case starts("epochs-"):
		d.ByEpoch = append(d.ByEpoch, f)
	case starts("turns-"), starts("ranks"):
		d.BySize = append(d.BySize, f)
	case starts("tasks-"), starts("scatter-"):
		d.ByTask = append(d.ByTask, f)
	case starts("retraining-"):
		d.Training = append(d.Training, f)
	default:
		d.Lead = append(d.Lead, f)
	}
}
