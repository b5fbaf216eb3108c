package chart

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// fewPoints is up to how many points of a line get a glyph; more would hide the line.
const fewPoints = 20

// Line joins points by a line, with a glyph at each where they are few and a band where they have one.
func (c *Chart) Line(name string, series int, points []Point) {
	c.bands = append(c.bands, band{line{points, series}})
	c.marks = append(c.marks, line{points, series})
	c.name(name, glyphThumb(series, true))
}

// Bars stands bars on zero, width wide in units of X, each with an error bar where it has one.
func (c *Chart) Bars(name string, series int, points []Point, width float64) {
	c.marks = append(c.marks, bars{points, series, width})
	c.name(name, boxThumb(series))
}

// Intervals draws lying intervals: a glyph at (Y's value, row X) and a line from Low to High along the value axis, which
// is the horizontal one here. Faint are single observations behind it, at the same rows.
func (c *Chart) Intervals(name string, series int, points, faint []Point) {
	c.marks = append(c.marks, intervals{points, faint, series})
	c.name(name, glyphThumb(series, false))
}

// Level draws a dashed grey line across the chart: horizontal at y, or vertical where upright.
func (c *Chart) Level(name string, value float64, upright bool) {
	c.marks = append(c.marks, level{value, upright})
	c.name(name, lineThumb(levelStyle))
}

// Diagonal draws a dashed grey line of equal X and Y between two values, which belong to both axes' ranges.
func (c *Chart) Diagonal(name string, from, to float64) {
	c.marks = append(c.marks, diagonal{from, to})
	c.name(name, lineThumb(levelStyle))
}

var levelStyle = draw.LineStyle{Color: muted, Width: 1.1, Dashes: []vg.Length{4, 3}}

type line struct {
	points []Point
	series int
}

func (l line) extent() (x, y []float64) {
	for _, p := range l.points {
		x, y = append(x, p.X), append(y, p.Y, p.Low, p.High)
	}
	return x, y
}

// placed says whether a value has a place: it is finite, and above zero on a logarithmic axis.
func placed(at vg.Point) bool { return len(finite([]float64{float64(at.X), float64(at.Y)})) == 2 }

// Plot implements plot.Plotter. A point without a place interrupts the line.
func (l line) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var path []vg.Point
	for _, q := range l.points {
		at := vg.Point{X: x(q.X), Y: y(q.Y)}
		if !placed(at) {
			l.stroke(c, path)
			path = nil
			continue
		}
		path = append(path, at)
		if len(l.points) <= fewPoints {
			c.DrawGlyph(glyphOf(l.series, 2.6), at)
		}
	}
	l.stroke(c, path)
}

func (l line) stroke(c draw.Canvas, path []vg.Point) {
	if len(path) > 1 {
		c.StrokeLines(lineOf(l.series), c.ClipLinesXY(path)...)
	}
}

// band is the area between the low and high ends of a line's points.
type band struct{ line }

// Plot implements plot.Plotter. A point without both ends interrupts the band.
func (b band) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var low, high []vg.Point
	fill := func() {
		if len(high) > 1 {
			c.FillPolygon(fade(colourOf(b.series), 0x30), c.ClipPolygonXY(append(high, reversed(low)...)))
		}
		low, high = nil, nil
	}
	for _, q := range b.points {
		from, to := vg.Point{X: x(q.X), Y: y(q.Low)}, vg.Point{X: x(q.X), Y: y(q.High)}
		if !placed(from) || !placed(to) {
			fill()
			continue
		}
		low, high = append(low, from), append(high, to)
	}
	fill()
}

func reversed(points []vg.Point) []vg.Point {
	back := make([]vg.Point, len(points))
	for i, p := range points {
		back[len(points)-1-i] = p
	}
	return back
}

// Dots draws single observations, a glyph each: small and faint where they are many.
func (c *Chart) Dots(name string, series int, points []Point) {
	c.marks = append(c.marks, dots{line{points, series}})
	c.name(name, glyphThumb(series, false))
}

type dots struct{ line }

// Plot implements plot.Plotter.
func (d dots) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	glyph := glyphOf(d.series, 3.4)
	if len(d.points) > fewPoints {
		glyph.Radius, glyph.Color = 2, fade(colourOf(d.series), 0x90)
	}
	for _, q := range d.points {
		if at := (vg.Point{X: x(q.X), Y: y(q.Y)}); placed(at) {
			c.DrawGlyph(glyph, at)
		}
	}
}

type bars struct {
	points []Point
	series int
	width  float64
}

func (b bars) extent() (x, y []float64) {
	y = []float64{0}
	for _, p := range b.points {
		x, y = append(x, p.X-b.width/2, p.X+b.width/2), append(y, p.Y, p.Low, p.High)
	}
	return x, y
}

// Plot implements plot.Plotter.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, q := range b.points {
		if len(finite([]float64{q.X, q.Y})) < 2 {
			continue
		}
		left, right, foot, top := x(q.X-b.width/2), x(q.X+b.width/2), y(0), y(q.Y)
		c.FillPolygon(colourOf(b.series), []vg.Point{{X: left, Y: foot}, {X: right, Y: foot}, {X: right, Y: top}, {X: left, Y: top}})
		if len(finite([]float64{q.Low, q.High})) == 2 {
			middle, cap := (left+right)/2, min(3, (right-left)/4)
			style := draw.LineStyle{Color: ink, Width: 0.9}
			c.StrokeLine2(style, middle, y(q.Low), middle, y(q.High))
			c.StrokeLine2(style, middle-cap, y(q.Low), middle+cap, y(q.Low))
			c.StrokeLine2(style, middle-cap, y(q.High), middle+cap, y(q.High))
		}
	}
}

type intervals struct {
	points, faint []Point
	series        int
}

func (v intervals) extent() (x, y []float64) {
	for _, p := range v.points {
		x, y = append(x, p.Y, p.Low, p.High), append(y, p.X)
	}
	for _, p := range v.faint {
		x, y = append(x, p.Y), append(y, p.X)
	}
	return x, y
}

// Plot implements plot.Plotter.
func (v intervals) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	dot := glyphOf(v.series, 2.2)
	dot.Shape, dot.Color = draw.CircleGlyph{}, fade(colourOf(v.series), 0x60)
	for _, q := range v.faint {
		if !math.IsNaN(q.Y) {
			c.DrawGlyph(dot, vg.Point{X: x(q.Y), Y: y(q.X)})
		}
	}
	for _, q := range v.points {
		if len(finite([]float64{q.Low, q.High})) == 2 {
			low, high := max(x(q.Low), c.Min.X), min(x(q.High), c.Max.X) // an axis may end inside of an interval
			c.StrokeLine2(draw.LineStyle{Color: colourOf(v.series), Width: 2}, low, y(q.X), high, y(q.X))
		}
		if !math.IsNaN(q.Y) {
			c.DrawGlyph(glyphOf(v.series, 4), vg.Point{X: x(q.Y), Y: y(q.X)})
		}
	}
}

type level struct {
	value   float64
	upright bool
}

func (l level) extent() (x, y []float64) {
	if l.upright {
		return []float64{l.value}, nil
	}
	return nil, []float64{l.value}
}

// Plot implements plot.Plotter.
func (l level) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	switch {
	case math.IsNaN(l.value):
	case l.upright:
		c.StrokeLine2(levelStyle, x(l.value), c.Min.Y, x(l.value), c.Max.Y)
	default:
		c.StrokeLine2(levelStyle, c.Min.X, y(l.value), c.Max.X, y(l.value))
	}
}

type diagonal struct{ from, to float64 }

func (d diagonal) extent() (x, y []float64) { return []float64{d.from, d.to}, []float64{d.from, d.to} }

// Plot implements plot.Plotter.
func (d diagonal) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	c.StrokeLine2(levelStyle, x(d.from), y(d.from), x(d.to), y(d.to))
}
