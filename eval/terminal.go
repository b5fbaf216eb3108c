package eval

import (
	"fmt"
	"io"
	"strings"
)

// Text writes what a terminal of 100 columns shows at the end of a run: the answer, the results, the planned comparisons, what is
// missing, and cautions.
func (s *Study) Text(w io.Writer) error {
	if err := s.heading(w); err != nil {
		return err
	}
	for _, t := range s.Summary() {
		switch t.Key {
		case "results":
			t = t.Only("method", "adaptation", "accuracy", "task_error", "low", "high", "mrr", "best", "parameters", "done", "expected")
			t.Notes = []string{fmt.Sprintf("± tasks: standard error over tasks. low, high: 95 %% interval. best ep.: picked on held-out turns, so it flatters. Guessing: %.1f.", chance(s.Results()))}
		case "comparisons":
			t = t.Only("adaptation", "a", "b", "difference", "low", "high", "p", "p_adjusted", "verdict")
			t.Rows = where(t.Rows, func(row []Cell) bool { return row[len(row)-1].Text != "exploratory" })
			t.Notes = []string{"p: sign-flip test over tasks; p adj.: Holm's correction under one adaptation."}
		default:
			continue
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
		if err := t.WriteText(w); err != nil {
			return err
		}
	}
	return s.remarks(w, 5)
}

// writeSummary writes all tables, and the footer behind a line of its own.
func (s *Study) writeSummary(w io.Writer, tables []Table) error {
	if err := s.heading(w); err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
		if err := t.WriteText(w); err != nil {
			return err
		}
	}
	if err := s.remarks(w, len(s.Missing)); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n---- footer: differs from run to run ----\n"); err != nil {
		return err
	}
	if err := s.Durations().WriteText(w); err != nil {
		return err
	}
	for _, line := range s.Footer {
		if _, err := io.WriteString(w, oneLine(line)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// remarks writes the first missing units, cautions and notes.
func (s *Study) remarks(w io.Writer, most int) error {
	var b strings.Builder
	if n := len(s.Missing); n > 0 {
		fmt.Fprintf(&b, "\n%s missing, in no mean above:\n", counted(n, "unit"))
		for _, unit := range s.Missing[:min(most, n)] {
			b.WriteString("  " + oneLine(unit) + "\n")
		}
		if n > most {
			fmt.Fprintf(&b, "  and %d more\n", n-most)
		}
	}
	for i, remark := range append(s.Cautions(), s.Notes...) {
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(folded("* "+oneLine(remark), 98, "  "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
