package chart

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	thumbWidth  = 22 * vg.Length(1)
	thumbGap    = 5 * vg.Length(1)
	entryGap    = 16 * vg.Length(1)
	legendLine  = 14 * vg.Length(1)
	legendSpace = 6 * vg.Length(1) // below the last line
)

// drawLegend sets the entries from the top left in lines, as words in a text, and returns the height they took.
func drawLegend(sheet draw.Canvas, entries []entry) vg.Length {
	if len(entries) == 0 {
		return 0
	}
	style := textStyle(9.5, false, ink)
	x, y := sheet.Min.X, sheet.Max.Y-legendLine
	for _, e := range entries {
		width := thumbWidth + thumbGap + style.Width(e.name)
		if x > sheet.Min.X && x+width > sheet.Max.X {
			x, y = sheet.Min.X, y-legendLine
		}
		thumb := sheet
		thumb.Rectangle = vg.Rectangle{Min: vg.Point{X: x, Y: y}, Max: vg.Point{X: x + thumbWidth, Y: y + legendLine - 3}}
		e.thumb(thumb)
		sheet.FillText(style, vg.Point{X: x + thumbWidth + thumbGap, Y: y + 2.5}, e.name)
		x += width + entryGap
	}
	return sheet.Max.Y - y + legendSpace
}

// name adds an entry to the legend, once per name.
func (c *Chart) name(name string, thumb func(draw.Canvas)) {
	for _, e := range c.legend {
		if e.name == name {
			return
		}
	}
	if name != "" {
		c.legend = append(c.legend, entry{name, thumb})
	}
}

func lineThumb(style draw.LineStyle) func(draw.Canvas) {
	return func(c draw.Canvas) { c.StrokeLine2(style, c.Min.X, c.Center().Y, c.Max.X, c.Center().Y) }
}

func glyphThumb(series int, line bool) func(draw.Canvas) {
	return func(c draw.Canvas) {
		if line {
			lineThumb(lineOf(series))(c)
		}
		c.DrawGlyphNoClip(glyphOf(series, 3.2), c.Center())
	}
}

func boxThumb(series int) func(draw.Canvas) {
	return func(c draw.Canvas) {
		middle, half := c.Center(), vg.Length(4.5)
		c.FillPolygon(colourOf(series), []vg.Point{
			{X: middle.X - 2*half, Y: middle.Y - half}, {X: middle.X + 2*half, Y: middle.Y - half},
			{X: middle.X + 2*half, Y: middle.Y + half}, {X: middle.X - 2*half, Y: middle.Y + half},
		})
	}
}
