package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/eval/chart"
)

// drawings is one chart of every kind of mark, with gaps where values are undefined.
func drawings() map[string]*chart.Chart {
	nan := math.NaN()
	lines := chart.New("Lines <&>", "subtitle", "epoch", "accuracy (%)")
	lines.X.Whole = true
	lines.Line("a & b", 0, []chart.Point{{0, 5, 4, 6}, {1, 7, 6, 8}, {2, nan, nan, nan}, {3, 9, 8, 10}, {4, 12, nan, nan}})
	lines.Line("seventh", 6, []chart.Point{chart.At(0, 3), chart.At(4, 4)})
	lines.Level("guessing", 5, false)
	bars := chart.New("Bars", "", "", "accuracy (%)")
	bars.X.Labels = []string{"one", "a task with a long name", "another task with a long name", "yet another task with a long name"}
	bars.Bars("a", 1, []chart.Point{{0, 5, 4, 6}, {1, nan, nan, nan}, {2, 3, nan, nan}}, 0.4)
	intervals := chart.New("Intervals", strings.Repeat("a subtitle that is too long for one line ", 5), "difference", "")
	intervals.Y.Labels = []string{"x", "y"}
	intervals.Intervals("", 2, []chart.Point{{0, 1, -1, 3}, {1, nan, nan, nan}}, []chart.Point{chart.At(0, 2), chart.At(1, nan)})
	intervals.Level("none", 0, true)
	intervals.Level("unknown", nan, true)
	logs := chart.New("Logarithms", "", "samples", "error")
	logs.X.Log, logs.Y.Log = true, true
	logs.Line("a", 0, []chart.Point{{10, 1e-5, 0, 1e-4}, {100, 3, 2, 4}, {1000, 0, nan, nan}, {10000, 50, 40, 60}})
	logs.Dots("b", 1, []chart.Point{chart.At(20, 7), chart.At(30, -1), chart.At(40, nan)})
	return map[string]*chart.Chart{"logarithms": logs, "lines": lines, "bars": bars, "intervals": intervals, "empty": chart.New("", "", "", "")}
}

func TestRenderIsWholeAndRepeats(t *testing.T) {
	for name := range drawings() {
		t.Run(name, func(t *testing.T) {
			first, again := drawings()[name], drawings()[name]
			for _, format := range []func(*chart.Chart) ([]byte, error){(*chart.Chart).PNG, (*chart.Chart).SVG} {
				a, err := format(first)
				if err != nil {
					t.Fatal(err)
				}
				b, err := format(again)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(a, b) {
					t.Error("two renderings differ")
				}
			}
			image, err := first.PNG()
			if err != nil {
				t.Fatal(err)
			}
			config, err := png.DecodeConfig(bytes.NewReader(image))
			if err != nil || config.Width != 1440 || config.Height != 800 {
				t.Errorf("PNG of %dx%d, %v; want 1440x800", config.Width, config.Height, err)
			}
			svg, err := first.SVG()
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, string(svg))
			if bytes.Contains(svg, []byte("NaN")) {
				t.Error("drawing holds NaN")
			}
		})
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("drawing is no XML: %v", err)
		}
	}
}

// TestInline: the page rules over the colours of text, axes and grid, and no name becomes markup.
func TestInline(t *testing.T) {
	got, err := drawings()["lines"].Inline(`a "label" <b>`)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, got)
	for _, want := range []string{"currentColor", "var(--muted)", "var(--rule)", "Lines &lt;&amp;&gt;", "a &amp; b", "aria-label=\"a &#34;label&#34; &lt;b&gt;\"", "Arial"} {
		if !strings.Contains(got, want) {
			t.Errorf("inline drawing lacks %q", want)
		}
	}
	for _, wrong := range []string{"#1F2328", "#636C76", "#E4E7EB", "xmlns", "#FFFFFF"} {
		if strings.Contains(got, wrong) {
			t.Errorf("inline drawing holds %q", wrong)
		}
	}
}

func TestEmpty(t *testing.T) {
	for name, c := range drawings() {
		if got, want := c.Empty(), name == "empty"; got != want {
			t.Errorf("%s: empty is %v", name, got)
		}
	}
	only := chart.New("", "", "", "")
	only.Level("guessing", 5, false)
	only.Line("a", 0, []chart.Point{chart.At(1, math.NaN())})
	if !only.Empty() {
		t.Error("a level and a NaN count as data")
	}
}

// TestTicks reads the axis' numbers out of the drawing.
func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high  float64
		whole, log bool
		want       []string
	}{
		{0, 47, false, false, []string{"0", "10", "20", "30", "40", "50"}},
		{0, 2, true, false, []string{"0", "1", "2"}},
		{0, 2, false, false, []string{"0.0", "0.5", "1.0", "1.5", "2.0"}},
		{-0.03, 0.03, false, false, []string{"-0.03", "-0.02", "-0.01", "0.00", "0.01", "0.02", "0.03"}},
		{5, 5, true, false, []string{"4", "5", "6"}},
		{1e17, 1e17 + 16, false, false, []string{"1e+17", "1e+17", "1e+17", "1e+17", "1e+17"}},
		{-1.7e308, 1.7e308, false, false, []string{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}},
		{1, 1e4, false, true, []string{"1", "10", "100", "1000", "10000"}},
		{1e-6, 1e7, false, true, []string{"1e-5", "0.01", "10", "10000", "1e7"}},
		{5, 20, false, true, []string{"5", "10", "20"}},
		{0, 3, false, true, []string{"2", "5"}},
	} {
		p := chart.New("", "", "", "")
		p.X.Whole, p.X.Log = c.whole, c.log
		p.Y.Labels = []string{"row"}
		p.Intervals("", 0, []chart.Point{chart.At(0, c.low), chart.At(0, c.high)}, nil)
		svg, err := p.SVG()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, part := range strings.Split(string(svg), "</text>") {
			if _, text, found := strings.Cut(part, "<text"); found {
				_, text, _ = strings.Cut(text, ">")
				got = append(got, text)
			}
		}
		want := append(c.want, "row")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v to %v (-want +got):\n%s", c.low, c.high, diff)
		}
	}
}
