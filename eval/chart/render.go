package chart

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// dotsPerInch of the PNG files: sharp on a dense screen and in print at text width.
const dotsPerInch = 192

// PNG renders the chart on white.
func (c *Chart) PNG() ([]byte, error) {
	canvas := vgimg.NewWith(vgimg.UseWH(Width, c.Height), vgimg.UseDPI(dotsPerInch), vgimg.UseBackgroundColor(color.White))
	c.draw(draw.New(canvas))
	var buffer bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(&buffer); err != nil {
		return nil, fmt.Errorf("rendering chart %q as PNG: %w", c.Title, err)
	}
	return buffer.Bytes(), nil
}

// SVG renders the chart as a file of its own, on white.
func (c *Chart) SVG() ([]byte, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="%gpt" height="%gpt" viewBox="0 0 %g %g">
<rect width="100%%" height="100%%" fill="#FFFFFF"/>
`, Width.Points(), c.Height.Points(), Width.Points(), c.Height.Points())
	return []byte(head + body), nil
}

// Inline renders the chart as an element of an HTML page, without background and with the colours of text, axes and grid
// left to the page: currentColor, var(--muted) and var(--rule). label is what a screen reader says.
func (c *Chart) Inline(label string) (string, error) {
	body, err := c.body()
	if err != nil {
		return "", err
	}
	head := fmt.Sprintf("<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n", Width.Points(), c.Height.Points(), html.EscapeString(label))
	page := strings.NewReplacer(
		hex(ink), "currentColor", hex(muted), "var(--muted)", hex(rule), "var(--rule)",
	)
	return head + page.Replace(body), nil
}

// body is gonum's SVG from behind its opening tag, with a font every machine has a cousin of.
func (c *Chart) body() (string, error) {
	canvas := vgsvg.NewWith(vgsvg.UseWH(Width, c.Height))
	c.draw(draw.New(canvas))
	var buffer bytes.Buffer
	if _, err := canvas.WriteTo(&buffer); err != nil {
		return "", fmt.Errorf("rendering chart %q as SVG: %w", c.Title, err)
	}
	_, rest, found := strings.Cut(buffer.String(), "<svg")
	if !found {
		return "", fmt.Errorf("rendering chart %q as SVG: no <svg> in what was drawn", c.Title)
	}
	_, rest, _ = strings.Cut(rest, ">\n")
	fonts := strings.NewReplacer("font-family:Liberation Sans;", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")
	return fonts.Replace(rest), nil
}

// hex is a colour as gonum writes it into an SVG.
func hex(c color.NRGBA) string { return fmt.Sprintf("#%02X%02X%02X", c.R, c.G, c.B) }

// RowHeight is the height a chart of lying intervals needs for that many rows, head and axis included.
func RowHeight(rows int) vg.Length { return 110 + vg.Length(rows)*22 }
