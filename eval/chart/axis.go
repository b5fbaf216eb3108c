package chart

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// fit sets the ends of an axis: the given ones, or where automatic the nice numbers around the values.
func (a Axis) fit(axis *plot.Axis, values []float64) {
	if a.Labels != nil {
		axis.Min, axis.Max = -0.5, float64(len(a.Labels))-0.5
		axis.Tick.Marker = names(a.Labels)
		axis.Tick.LineStyle.Color = rule
		axis.Tick.Length = 3 // keeps the names off the axis
		return
	}
	if a.Log {
		a.fitLog(axis, values)
		return
	}
	low, high := bounds(values)
	if !math.IsNaN(a.Min) {
		low = a.Min
	}
	if !math.IsNaN(a.Max) {
		high = a.Max
	}
	if !(high-low > 1e-12*math.Abs(low)) { // equal, or so near that marks between would be
		room := math.Max(0.5, 1e-9*math.Abs(low))
		low, high = low-room, low+room
	}
	step := niceStep(high - low)
	if a.Whole {
		step = max(1, step)
	}
	if math.IsNaN(a.Min) {
		low = math.Floor(low/step+1e-9) * step
	}
	if math.IsNaN(a.Max) {
		high = math.Ceil(high/step-1e-9) * step
	}
	axis.Min, axis.Max = low, high
	axis.Tick.Marker = steps(step)
}

// fitLog sets the ends of a logarithmic axis to the given ones, or to the values with a little room.
func (a Axis) fitLog(axis *plot.Axis, values []float64) {
	var positive []float64
	for _, v := range values {
		if v > 0 {
			positive = append(positive, v)
		}
	}
	low, high := bounds(positive)
	if low == 0 {
		low = 0.1 // there is no value
	}
	room := math.Pow(high/low, 0.04) * 1.05
	if high < 2*low {
		room = 2 // else no mark falls into the range
	}
	low, high = low/room, high*room
	if !math.IsNaN(a.Min) {
		low = a.Min
	}
	if !math.IsNaN(a.Max) {
		high = a.Max
	}
	axis.Min, axis.Max = low, high
	axis.Scale, axis.Tick.Marker = logScale{}, powers{}
}

// logScale maps an axis' range to 0…1 by logarithms; what is not above zero is nowhere.
type logScale struct{}

// Normalize implements plot.Normalizer.
func (logScale) Normalize(low, high, x float64) float64 {
	return (math.Log(x) - math.Log(low)) / (math.Log(high) - math.Log(low))
}

// powers marks the powers of ten, at most about six of them, and 2 and 5 times them where there are few.
type powers struct{}

// Ticks implements plot.Ticker.
func (powers) Ticks(low, high float64) []plot.Tick {
	first, last := int(math.Ceil(math.Log10(low)-1e-9)), int(math.Floor(math.Log10(high)+1e-9))
	factors := []float64{1}
	if last-first < 2 {
		factors = []float64{1, 2, 5}
	}
	stride := (last-first)/6 + 1
	var ticks []plot.Tick
	for power := first - 1; power <= last; power++ {
		for _, factor := range factors {
			v := factor * math.Pow10(power)
			if v < low*(1-1e-9) || v > high*(1+1e-9) {
				continue
			}
			t := plot.Tick{Value: v}
			if (last-power)%stride == 0 {
				t.Label = powerOfTen(factor, power)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// powerOfTen writes a multiple of a small power out and others with an exponent.
func powerOfTen(factor float64, power int) string {
	if power >= -3 && power <= 5 {
		return strconv.FormatFloat(factor*math.Pow10(power), 'f', max(0, -power), 64)
	}
	return strconv.FormatFloat(factor, 'f', 0, 64) + "e" + strconv.Itoa(power)
}

// farthest is the largest value that is drawn: no axis reaches further, and spans of such values are numbers.
const farthest = 1e100

// bounds of the finite values; 0 and 1 of none.
func bounds(values []float64) (low, high float64) {
	known := finite(values)
	if len(known) == 0 {
		return 0, 1
	}
	low, high = known[0], known[0]
	for _, v := range known {
		low, high = min(low, v), max(high, v)
	}
	return low, high
}

func finite(values []float64) []float64 {
	var known []float64
	for _, v := range values {
		if math.Abs(v) <= farthest { // which no NaN is
			known = append(known, v)
		}
	}
	return known
}

// niceStep is 1, 2 or 5 times a power of ten, so that a span has four to ten steps.
func niceStep(span float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(span/4)))
	for _, factor := range []float64{5, 2} {
		if span/(power*factor) >= 4 {
			return power * factor
		}
	}
	return power
}

// maxMarks ends an axis of which a caller set the ends far apart; one that is fitted has ten.
const maxMarks = 1000

// steps marks every multiple of a step.
type steps float64

// Ticks implements plot.Ticker.
func (s steps) Ticks(low, high float64) []plot.Tick {
	step := float64(s)
	digits := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	format := byte('f')
	if math.Max(math.Abs(low), math.Abs(high)) >= 1e15 {
		format, digits = 'g', 4
	}
	var ticks []plot.Tick
	first := math.Ceil(low/step - 1e-9)
	for i := range maxMarks {
		at := (first + float64(i)) * step
		if !(at <= high+1e-9*step) {
			break
		}
		ticks = append(ticks, plot.Tick{Value: at, Label: strconv.FormatFloat(at+0, format, digits, 64)})
	}
	return ticks
}

// names marks the places 0, 1, 2, … by words.
type names []string

// Ticks implements plot.Ticker.
func (n names) Ticks(_, _ float64) []plot.Tick {
	ticks := make([]plot.Tick, len(n))
	for i, name := range n {
		ticks[i] = plot.Tick{Value: float64(i), Label: name}
	}
	return ticks
}

// tilt turns the names of a horizontal axis where they would run into each other.
func tilt(axis *plot.Axis, labels []string) {
	width := axis.Tick.Label.Width(" ")
	for _, label := range labels {
		width = max(width, axis.Tick.Label.Width(label+"  "))
	}
	if width*vg.Length(len(labels)) > 0.88*Width {
		axis.Tick.Label.Rotation = math.Pi / 6
		axis.Tick.Label.XAlign, axis.Tick.Label.YAlign = draw.XRight, draw.YTop
	}
}

// spare leaves room between the names of a vertical axis and the axis: they are laid out by the widths of the font asked
// for, and a browser without it takes one that may be a seventh wider.
func spare(axis *plot.Axis, labels []string) {
	widest := vg.Length(0)
	for _, label := range labels {
		widest = max(widest, axis.Tick.Label.Width(label))
	}
	axis.Tick.LineStyle.Color = color.Transparent
	axis.Tick.Length += widest / 7
}

func styleAxis(axis *plot.Axis, a Axis) {
	axis.Label.Text = a.Label
	axis.Label.Padding = 4
	axis.Label.TextStyle = relabel(axis.Label.TextStyle, textStyle(9.5, false, ink))
	axis.Tick.Label = relabel(axis.Tick.Label, textStyle(9, false, ink))
	axis.LineStyle = draw.LineStyle{Color: muted, Width: 0.7}
	axis.Tick.LineStyle = draw.LineStyle{Color: muted, Width: 0.7}
	axis.Tick.Length = 4
	axis.Padding = 0
}

// relabel gives a style the font and colour of another and keeps its alignment, which differs by axis.
func relabel(s, from draw.TextStyle) draw.TextStyle {
	s.Font, s.Color, s.Handler = from.Font, from.Color, from.Handler
	return s
}
