package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"metalora/pipeline"
	"metalora/pipeline/terminal"
)

// json writes one JSON document on one line.
func (p *program) json(v any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

// table writes rows in columns; the first row is the heading.
func (p *program) table(rows ...[]string) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// printf writes a line of human output.
func (p *program) printf(format string, args ...any) { fmt.Fprintf(p.out, format, args...) }

// version is the program's, as far as the build knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && !strings.Contains(v, s.Value[:12]) {
			v += " " + s.Value[:12]
		}
		if s.Key == "-tags" && s.Value != "" {
			v += " with " + s.Value
		}
	}
	return strings.TrimSpace(v + " " + info.GoVersion)
}

// progress shows how long work goes, as loudly as the user wants it.
func (p *program) progress() pipeline.Progress {
	switch {
	case p.quiet:
		return pipeline.Quiet{}
	case p.verbose:
		return pipeline.NewStepLines(p.err)
	}
	return pipeline.NewProgress(p.err)
}

// notes shows what a person should know.
func (p *program) notes(all []string) {
	for _, text := range all {
		fmt.Fprintln(p.asides(), "note: "+terminal.Plain(text))
	}
}

// asides is where progress goes that is no [pipeline.Progress].
func (p *program) asides() io.Writer {
	if p.quiet {
		return io.Discard
	}
	return p.err
}
