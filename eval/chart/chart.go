// Package chart draws the few kinds of figures a report needs, alike in look and the same to the byte every time.
//
// A Chart is a sheet: title, line of explanation and legend on top, outside of the data, and one pair of axes below. Marks are laid on
// it in order: lines with bands, bars, intervals, dots, reference lines. A series is known by its number, which fixes
// colour, dash and glyph together, so that it can be told apart without colours and looks the same in every figure.
// The drawing is gonum/plot's; layout, palette and marks are ours.
package chart

import (
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Width of every chart: 7.5 inch, a page's text width.
const Width = 540 * vg.Length(1)

// Point is a value at a place. Low and High are the ends of its band or error bar; NaN where it has none. X and Y are in
// the axes' units.
type Point struct{ X, Y, Low, High float64 }

// At is a point without band.
func At(x, y float64) Point { return Point{x, y, math.NaN(), math.NaN()} }

// Axis is one of the two axes. An automatic end is NaN; Labels, where given, name the places 0, 1, 2, ….
type Axis struct {
	Label    string // with its unit
	Min, Max float64
	Labels   []string
	Whole    bool // counts: no marks between whole numbers
	Log      bool // powers of ten at equal distances; values that are not above zero are left out
}

// Chart is a figure being put together. Its zero value is no chart: use New.
type Chart struct {
	Title    string
	Subtitle string // what the marks are: which mean, which band
	X, Y     Axis
	Height   vg.Length

	bands  []mark // below all marks, so that no band veils a line
	marks  []mark
	legend []entry
}

// mark is anything laid on the axes; its extent joins the range of the automatic axes.
type mark interface {
	plot.Plotter
	extent() (x, y []float64)
}

// entry is a line of the legend: a small drawing and a name.
type entry struct {
	name  string
	thumb func(c draw.Canvas)
}

// New starts a chart with automatic axes.
func New(title, subtitle, x, y string) *Chart {
	nan := math.NaN()
	return &Chart{
		Title: title, Subtitle: subtitle, Height: 300,
		X: Axis{Label: x, Min: nan, Max: nan}, Y: Axis{Label: y, Min: nan, Max: nan},
	}
}

// Empty says whether nothing with a finite value was laid on the chart.
func (c *Chart) Empty() bool {
	for _, m := range c.marks {
		if x, y := m.extent(); len(finite(x)) > 0 && len(finite(y)) > 0 {
			return false
		}
	}
	return true
}

// draw puts the whole sheet on a canvas of Width by Height.
func (c *Chart) draw(canvas draw.Canvas) {
	const margin = 8
	sheet := draw.Crop(canvas, margin, -margin, margin, -margin)
	sheet.Max.Y -= c.drawHead(sheet)
	sheet.Max.Y -= drawLegend(sheet, c.legend)
	sheet.Max.X -= 6 // a tick label may stand half outside of the axis
	c.plot().Draw(sheet)
}

// drawHead writes title and subtitle from the top and returns the height they took.
func (c *Chart) drawHead(sheet draw.Canvas) vg.Length {
	used := vg.Length(0)
	if c.Title != "" {
		used += 13
		sheet.FillText(textStyle(11.5, true, ink), vg.Point{X: sheet.Min.X, Y: sheet.Max.Y - used + 2}, c.Title)
	}
	for _, line := range wrap(c.Subtitle, textStyle(9, false, muted), sheet.Max.X-sheet.Min.X) {
		used += 13
		sheet.FillText(textStyle(9, false, muted), vg.Point{X: sheet.Min.X, Y: sheet.Max.Y - used + 2}, line)
	}
	return used + 4
}

// plot makes gonum's plot of the axes and marks.
func (c *Chart) plot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	styleAxis(&p.X, c.X)
	styleAxis(&p.Y, c.Y)
	var xs, ys []float64
	for _, m := range c.marks {
		x, y := m.extent()
		xs, ys = append(xs, x...), append(ys, y...)
	}
	c.X.fit(&p.X, xs)
	c.Y.fit(&p.Y, ys)
	tilt(&p.X, c.X.Labels)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, nil
	if c.Y.Labels == nil {
		grid.Horizontal = draw.LineStyle{Color: rule, Width: 0.6}
	}
	if c.Y.Labels != nil {
		spare(&p.Y, c.Y.Labels)
		grid.Vertical = draw.LineStyle{Color: rule, Width: 0.6}
	}
	p.Add(grid)
	for _, m := range slices.Concat(c.bands, c.marks) {
		p.Add(m)
	}
	return p
}
