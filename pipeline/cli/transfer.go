package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// transfer shows how far a download is: a bar on a terminal, a line now and then elsewhere.
type transfer struct {
	out         io.Writer
	label       string
	mutex       sync.Mutex
	bar         *progressbar.ProgressBar // nil: lines
	done, total int64
	spoke       time.Time
}

// silence is the least time between two lines of a download.
const silence = 5 * time.Second

func newTransfer(w io.Writer, label string) *transfer { return &transfer{out: w, label: label} }

// Expect begins the display; total is in bytes, 0 where it is not known.
func (t *transfer) Expect(total int64) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.total, t.spoke = total, time.Now()
	file, ok := t.out.(*os.File)
	if ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb" {
		most := total
		if most == 0 {
			most = -1 // a spinner
		}
		t.bar = progressbar.NewOptions64(most, progressbar.OptionSetWriter(t.out), progressbar.OptionSetDescription(t.label),
			progressbar.OptionEnableColorCodes(os.Getenv("NO_COLOR") == ""), progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(20), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		return
	}
	if total == 0 {
		fmt.Fprintf(t.out, "%s: fetching\n", t.label)
		return
	}
	fmt.Fprintf(t.out, "%s: %s to fetch\n", t.label, size(&total))
}

// Advance counts bytes; a negative number takes some back.
func (t *transfer) Advance(n int64) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.done += n
	if t.bar != nil {
		_ = t.bar.Set64(t.done)
		return
	}
	if time.Since(t.spoke) < silence {
		return
	}
	t.spoke = time.Now()
	if t.total == 0 {
		fmt.Fprintf(t.out, "  %s\n", size(&t.done))
		return
	}
	fmt.Fprintf(t.out, "  %s of %s (%.0f %%)\n", size(&t.done), size(&t.total), 100*float64(t.done)/float64(t.total))
}

// Note shows a line.
func (t *transfer) Note(text string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.bar != nil {
		_ = t.bar.Clear()
	}
	fmt.Fprintln(t.out, text)
}

func (t *transfer) end() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.bar != nil {
		_ = t.bar.Clear()
	}
}
