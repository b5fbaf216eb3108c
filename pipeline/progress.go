package pipeline

import (
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"metalora/pipeline/terminal"
)

// Progress is told how long work goes. One item of work (a unit) is under way at a time.
type Progress interface {
	Start(label string)            // an item begins
	Expect(done, total int)        // so many of its steps lie behind, and so many there are in all
	Step(loss float64, tokens int) // a step is done; tokens are the real ones it read; NaN: it has no loss
	Note(text string)              // something worth a line
	End(err error)                 // the item ended
}

// Quiet is a Progress that says nothing.
type Quiet struct{}

func (Quiet) Start(string)      {}
func (Quiet) Expect(int, int)   {}
func (Quiet) Step(float64, int) {}
func (Quiet) Note(string)       {}
func (Quiet) End(error)         {}

// NewProgress shows progress on w: a bar where w is a terminal that can draw one, else plain lines.
func NewProgress(w io.Writer) Progress {
	m := meter{out: w, now: time.Now}
	file, ok := w.(*os.File)
	if ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb" {
		return &bars{meter: m, color: os.Getenv("NO_COLOR") == ""}
	}
	return &lines{meter: m, pause: pause}
}

// NewStepLines shows progress on w as a line for every step.
func NewStepLines(w io.Writer) Progress { return &lines{meter: meter{out: w, now: time.Now}} }

// smoothing is the weight of a new step in the running means of loss and speed.
const smoothing = 0.1

// meter counts the steps of an item.
type meter struct {
	out   io.Writer
	now   func() time.Time
	label string

	began       time.Time
	first       int // steps that lay behind when the item was taken up
	done, total int
	tokens      int
	loss        float64 // running mean
}

func (m *meter) Start(label string) {
	*m = meter{out: m.out, now: m.now, label: terminal.Plain(label), began: m.now()}
}

func (m *meter) Expect(done, total int) {
	m.began, m.first, m.done, m.total = m.now(), done, done, total
}

func (m *meter) Step(loss float64, tokens int) {
	if m.done == m.first {
		m.loss = loss
	}
	m.loss += smoothing * (loss - m.loss)
	m.done++
	m.tokens += tokens
}

// rate is tokens a second; left is how long the rest will take, negative where that is not known.
func (m *meter) rate() (perSecond float64, left time.Duration) {
	passed := m.now().Sub(m.began)
	steps := m.done - m.first
	if steps == 0 || passed <= 0 {
		return 0, -1
	}
	left = -1
	if m.total > 0 {
		left = passed / time.Duration(steps) * time.Duration(m.total-m.done)
	}
	return float64(m.tokens) / passed.Seconds(), left
}

// status is the figures of the item: "loss 0.1234, 1034 tokens/s".
func (m *meter) status() string {
	speed, _ := m.rate()
	if math.IsNaN(m.loss) {
		return fmt.Sprintf("%.0f tokens/s", speed)
	}
	return fmt.Sprintf("loss %.4f, %.0f tokens/s", m.loss, speed)
}

// lines is progress as plain text, for logs.
type lines struct {
	meter
	pause time.Duration // the least between two lines of one item
	spoke time.Time
}

// pause keeps logs short.
const pause = 5 * time.Second

func (l *lines) Start(label string) {
	l.meter.Start(label)
	l.spoke = l.now()
	fmt.Fprintln(l.out, l.label)
}

func (l *lines) Step(loss float64, tokens int) {
	l.meter.Step(loss, tokens)
	if l.now().Sub(l.spoke) < l.pause {
		return
	}
	l.spoke = l.now()
	text := fmt.Sprintf("  step %d", l.done)
	if l.total > 0 {
		text += fmt.Sprintf(" of %d", l.total)
	}
	text += ", " + l.status()
	if _, left := l.rate(); left >= 0 {
		text += ", " + left.Round(time.Second).String() + " left"
	}
	fmt.Fprintln(l.out, text)
}

func (l *lines) Note(text string) { fmt.Fprintln(l.out, "  "+terminal.Plain(text)) }

func (l *lines) End(err error) {
	passed := l.now().Sub(l.began).Round(100 * time.Millisecond)
	switch {
	case err != nil:
		fmt.Fprintf(l.out, "  ended after %v: %s\n", passed, terminal.Plain(err.Error()))
	case l.done > l.first:
		fmt.Fprintf(l.out, "  done in %v, %s\n", passed, l.status())
	default:
		fmt.Fprintf(l.out, "  done in %v\n", passed)
	}
}

// bars is progress as a bar on a terminal.
type bars struct {
	meter
	color bool
	bar   *progressbar.ProgressBar
}

func (b *bars) Start(label string) {
	b.meter.Start(label)
	b.draw(-1)
}

func (b *bars) Expect(done, total int) {
	b.meter.Expect(done, total)
	b.draw(total)
	_ = b.bar.Set(done)
}

// draw begins a bar; where the number of steps is not known it is a spinner. The bar's own clock would count the steps of
// an earlier process, so its speed and time left are not shown; those in the text count this one's.
func (b *bars) draw(total int) {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
	b.bar = progressbar.NewOptions(total,
		progressbar.OptionSetWriter(b.out),
		progressbar.OptionSetDescription(b.label),
		progressbar.OptionEnableColorCodes(b.color),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(20),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish())
}

func (b *bars) Step(loss float64, tokens int) {
	b.meter.Step(loss, tokens)
	text := b.label + "  " + b.status()
	if _, left := b.rate(); left >= 0 {
		text += ", " + left.Round(time.Second).String() + " left"
	}
	b.bar.Describe(text)
	_ = b.bar.Add(1)
}

func (b *bars) Note(text string) {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
	fmt.Fprintln(b.out, terminal.Plain(text))
}

func (b *bars) End(err error) {
	_ = b.bar.Clear()
	mark, paint := "done", "\x1b[32m"
	if err != nil {
		mark, paint = "ended", "\x1b[31m"
	}
	if b.color {
		mark = paint + mark + "\x1b[0m"
	}
	fmt.Fprintf(b.out, "%s %s in %v, %s\n", mark, b.label, b.now().Sub(b.began).Round(100*time.Millisecond), b.status())
	b.bar = nil
}
