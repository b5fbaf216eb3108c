package eval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"metalora/pipeline/disk"
)

// WriteReport writes index.html, summary.txt, summary.json, summary.csv (the results) and a CSV file for each other table, and
// figures/NAME.png and .svg into a folder of their own. Every file appears whole; the page comes last, so that a page that is there
// belongs to the files beside it. Only footers hold what may differ between equal runs.
func (s *Study) WriteReport(dir string) error {
	if err := s.Check(); err != nil {
		return err
	}
	files, err := s.files()
	if err != nil {
		return fmt.Errorf("making report %s: %w", dir, err)
	}
	html, err := s.HTML()
	if err != nil {
		return fmt.Errorf("making report %s: %w", dir, err)
	}
	if problems := CheckReport(html); len(problems) > 0 {
		return fmt.Errorf("making report %s: page is not whole: %s", dir, strings.Join(problems, "; "))
	}
	return publish(dir, files, html)
}

// publish writes a report's files and, last, its page.
func publish(dir string, files map[string][]byte, html []byte) error {
	if err := disk.MkdirAll(filepath.Join(dir, "figures")); err != nil {
		return fmt.Errorf("making report %s: %w", dir, err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := disk.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), files[name]); err != nil {
			return fmt.Errorf("writing report %s: %w", dir, err)
		}
	}
	if err := clearStale(filepath.Join(dir, "figures"), files); err != nil {
		return fmt.Errorf("clearing old figures of report %s: %w", dir, err)
	}
	if err := disk.WriteFile(filepath.Join(dir, "index.html"), html); err != nil {
		return fmt.Errorf("writing report %s: %w", dir, err)
	}
	return nil
}

// files is all of a report but its page, by path below its folder, slashes as separators.
func (s *Study) files() (map[string][]byte, error) {
	files := map[string][]byte{}
	tables := s.Summary()
	for _, t := range append(tables, s.Units()) {
		var b bytes.Buffer
		if err := t.WriteCSV(&b); err != nil {
			return nil, err
		}
		name := t.Key
		if name == "results" {
			name = "summary"
		}
		files[name+".csv"] = b.Bytes()
	}
	if _, some := files["summary.csv"]; !some {
		files["summary.csv"] = nil
	}
	if err := drawAll(files, s.Figures()); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := s.writeSummary(&text, tables); err != nil {
		return nil, err
	}
	files["summary.txt"] = text.Bytes()
	data, err := s.summaryJSON(tables)
	files["summary.json"] = data
	return files, err
}

// drawAll adds figures/NAME.png and .svg of each figure.
func drawAll(files map[string][]byte, figures []Figure) error {
	for _, f := range figures {
		png, err := f.Chart.PNG()
		if err != nil {
			return err
		}
		svg, err := f.Chart.SVG()
		if err != nil {
			return err
		}
		files["figures/"+f.Name+".png"], files["figures/"+f.Name+".svg"] = png, svg
	}
	return nil
}

// summaryJSON is the report for programs; undefined numbers are null.
func (s *Study) summaryJSON(tables []Table) ([]byte, error) {
	type footer struct {
		Durations Table    `json:"durations"`
		Lines     []string `json:"lines"`
	}
	data, err := json.MarshalIndent(struct {
		Title     string      `json:"title"`
		Synthetic bool        `json:"synthetic"`
		Question  string      `json:"question"`
		Answer    []string    `json:"answer"`
		Cautions  []string    `json:"cautions"`
		Missing   []string    `json:"missing"`
		Notes     []string    `json:"notes"`
		Facts     [][2]string `json:"facts"`
		Tables    []Table     `json:"tables"`
		Footer    footer      `json:"footer"`
	}{s.Title, s.Synthetic, s.Question, s.Answer(), s.Cautions(), s.Missing, s.Notes, s.Facts, tables, footer{s.Durations(), s.Footer}}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("writing summary.json: %w", err)
	}
	return append(data, '\n'), nil
}

// clearStale removes drawings that an earlier report left and this one does not have.
func clearStale(dir string, files map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		_, ours := files["figures/"+e.Name()]
		drawing := filepath.Ext(e.Name()) == ".png" || filepath.Ext(e.Name()) == ".svg"
		if drawing && !ours && e.Type().IsRegular() {
			if err := disk.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// heading writes title, question and answer.
func (s *Study) heading(w io.Writer) error {
	var b strings.Builder
	b.WriteString(oneLine(s.Title) + "\n")
	if s.Synthetic {
		b.WriteString("SYNTHETIC dialogues: these numbers show that the machinery works, and nothing else.\n")
	}
	if s.Question != "" {
		b.WriteString(folded(oneLine(s.Question), 98, ""))
	}
	b.WriteByte('\n')
	for _, sentence := range s.Answer() {
		b.WriteString(folded(oneLine(sentence), 98, ""))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
