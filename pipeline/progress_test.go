package pipeline

import (
	"errors"
	"strings"
	"testing"
	"time"

	"metalora/pipeline/golden"
)

func TestLines(t *testing.T) {
	var out strings.Builder
	clock := time.Unix(0, 0)
	p := &lines{pause: pause, meter: meter{out: &out, now: func() time.Time { return clock }}}
	p.Start("retrain sr seed 0")
	p.Expect(40, 100)
	for range 30 {
		clock = clock.Add(time.Second)
		p.Step(0.25, 1000)
	}
	p.Note("epoch 1: accuracy 0.31")
	p.End(nil)
	p.Start("adapt")
	clock = clock.Add(time.Second)
	p.End(errors.New("disk full"))
	golden.Compare(t, "testdata/progress.txt", out.String())
}

func TestBars(t *testing.T) {
	for _, color := range []bool{false, true} {
		var out strings.Builder
		p := &bars{meter: meter{out: &out, now: time.Now}, color: color}
		p.Start("retrain")
		p.Expect(1, 2)
		p.Step(0.25, 10)
		p.Note("halfway")
		p.End(nil)
		text := out.String()
		for _, want := range []string{"retrain", "loss 0.2500", "halfway\n", "done"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %q", want, text)
			}
		}
		if strings.Contains(text, "\x1b[32m") != color {
			t.Errorf("color %v: %q", color, text)
		}
	}
}

func TestNewProgressOfAFileIsLines(t *testing.T) {
	if _, ok := NewProgress(&strings.Builder{}).(*lines); !ok {
		t.Error("no plain lines")
	}
}
