package chart

import (
	"image/color"
	"strings"

	"golang.org/x/image/font"
	plotfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Ink is for text, muted for axes and second-rank text, rule for grid lines. A page may replace them (see Inline).
var (
	ink   = color.NRGBA{0x1F, 0x23, 0x28, 0xFF}
	muted = color.NRGBA{0x63, 0x6C, 0x76, 0xFF}
	rule  = color.NRGBA{0xE4, 0xE7, 0xEB, 0xFF}
)

// palette is Okabe and Ito's, "Color Universal Design" (2008), without black and without yellow, which is hard to see on
// white; reordered so that the first two differ most in lightness and hue.
var palette = []color.NRGBA{
	{0x00, 0x72, 0xB2, 0xFF}, // blue
	{0xD5, 0x5E, 0x00, 0xFF}, // vermilion
	{0x00, 0x9E, 0x73, 0xFF}, // bluish green
	{0xCC, 0x79, 0xA7, 0xFF}, // reddish purple
	{0xE6, 0x9F, 0x00, 0xFF}, // orange
	{0x56, 0xB4, 0xE9, 0xFF}, // sky blue
}

var dashes = [][]vg.Length{nil, {7, 3}, {2, 2.5}, {9, 3, 2, 3}}

var glyphs = []draw.GlyphDrawer{
	draw.CircleGlyph{},
	polygon{{-0.85, -0.85}, {0.85, -0.85}, {0.85, 0.85}, {-0.85, 0.85}}, // square
	polygon{{-1, -0.75}, {1, -0.75}, {0, 1.05}},                         // triangle up
	polygon{{0, -1.2}, {1.2, 0}, {0, 1.2}, {-1.2, 0}},                   // diamond
	polygon{{-1, 0.75}, {1, 0.75}, {0, -1.05}},                          // triangle down
	polygon{{-0.35, -1.1}, {0.35, -1.1}, {0.35, -0.35}, {1.1, -0.35}, {1.1, 0.35}, {0.35, 0.35}, {0.35, 1.1}, {-0.35, 1.1}, {-0.35, 0.35},
		{-1.1, 0.35}, {-1.1, -0.35}, {-0.35, -0.35}}, // cross
}

// polygon is a filled glyph by its corners, in units of the glyph's radius.
type polygon [][2]vg.Length

// DrawGlyph implements draw.GlyphDrawer.
func (g polygon) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	var path vg.Path
	for i, corner := range g {
		p := vg.Point{X: at.X + corner[0]*style.Radius, Y: at.Y + corner[1]*style.Radius}
		if i == 0 {
			path.Move(p)
		} else {
			path.Line(p)
		}
	}
	path.Close()
	c.SetColor(style.Color)
	c.Fill(path)
}

// second is how dark the second six colours are beside the first.
const second = 0.6

// colourOf is a series' colour; after six they come again darker, with the next dash and the next glyph.
func colourOf(series int) color.NRGBA {
	c := palette[index(series, len(palette))]
	if index(series/len(palette), 2) == 1 {
		c = color.NRGBA{uint8(second * float64(c.R)), uint8(second * float64(c.G)), uint8(second * float64(c.B)), c.A}
	}
	return c
}

func lineOf(series int) draw.LineStyle {
	dash := index(series, len(palette))%2 + index(series/len(palette), 2)*2
	return draw.LineStyle{Color: colourOf(series), Width: 1.7, Dashes: dashes[dash]}
}

func glyphOf(series int, radius vg.Length) draw.GlyphStyle {
	return draw.GlyphStyle{Color: colourOf(series), Radius: radius, Shape: glyphs[index(series+series/len(palette), len(glyphs))]}
}

func index(series, n int) int { return ((series % n) + n) % n }

// fade makes a colour translucent.
func fade(c color.NRGBA, alpha uint8) color.NRGBA {
	c.A = alpha
	return c
}

var fonts = plotfont.NewCache(liberation.Collection())

// textStyle is Liberation Sans, which has Arial's and Helvetica's widths.
func textStyle(size vg.Length, bold bool, c color.Color) text.Style {
	f := plotfont.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = font.WeightBold
	}
	return text.Style{Color: c, Font: f, Handler: text.Plain{Fonts: fonts}}
}

// wrap breaks a text at blanks into lines no wider than width.
func wrap(s string, style text.Style, width vg.Length) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		longer := strings.TrimSpace(line + " " + word)
		if line != "" && style.Width(longer) > width {
			lines = append(lines, line)
			longer = word
		}
		line = longer
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
