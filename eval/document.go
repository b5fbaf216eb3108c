package eval

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
)

var (
	//go:embed document.html
	documentSource string
	documentPage   = templateOf(documentSource)
)

// Document is a report of another shape than a [Study]'s: sections of texts, tables and figures in the same style.
type Document struct {
	Title, Question string
	Answer          []string // the first sentence leads
	Sections        []Section
	Command         string // how to get it again
	Configuration   string
	Footer          []string // what may differ between equal runs
	Attached        []Table  // long ones, written as CSV files alone
}

// Section is a part of a document under a heading of its own.
type Section struct {
	ID, Title string // ID is a word, unique in the document
	Text      []string
	Tables    []Table
	Figures   []Figure
}

// Tables are those of all sections.
func (d *Document) Tables() []Table {
	var all []Table
	for _, s := range d.Sections {
		all = append(all, s.Tables...)
	}
	return all
}

// Write writes index.html, summary.txt, summary.json, a CSV file for each table, attached ones included, and figures/NAME.png and .svg into a folder, as
// [Study.WriteReport] does.
func (d *Document) Write(dir string) error {
	files := map[string][]byte{}
	for _, t := range append(d.Tables(), d.Attached...) {
		var b bytes.Buffer
		if err := t.WriteCSV(&b); err != nil {
			return fmt.Errorf("making report %s: %w", dir, err)
		}
		files[t.Key+".csv"] = b.Bytes()
	}
	for _, s := range d.Sections {
		if err := drawAll(files, s.Figures); err != nil {
			return fmt.Errorf("making report %s: %w", dir, err)
		}
	}
	var text bytes.Buffer
	if err := d.Text(&text); err != nil {
		return err
	}
	files["summary.txt"] = text.Bytes()
	data, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return fmt.Errorf("making report %s: %w", dir, err)
	}
	files["summary.json"] = append(data, '\n')
	html, err := d.HTML()
	if err != nil {
		return fmt.Errorf("making report %s: %w", dir, err)
	}
	if problems := checkPage(string(html)); len(problems) > 0 {
		return fmt.Errorf("making report %s: page is not whole: %s", dir, strings.Join(problems, "; "))
	}
	return publish(dir, files, html)
}

// MarshalJSON writes a document for programs: its texts and tables.
func (d *Document) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Title    string   `json:"title"`
		Question string   `json:"question"`
		Answer   []string `json:"answer"`
		Command  string   `json:"command"`
		Tables   []Table  `json:"tables"`
	}{d.Title, d.Question, d.Answer, d.Command, d.Tables()})
}

// Text writes a document without its figures and footer.
func (d *Document) Text(w io.Writer) error {
	var b strings.Builder
	b.WriteString(oneLine(d.Title) + "\n" + folded(oneLine(d.Question), 98, "") + "\n")
	for _, sentence := range d.Answer {
		b.WriteString(folded(oneLine(sentence), 98, ""))
	}
	for _, t := range d.Tables() {
		b.WriteByte('\n')
		if err := t.WriteText(&b); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// documentData is what the template shows.
type documentData struct {
	*Document
	Parts []documentPart
}

type documentPart struct {
	Section
	Drawn []pageFigure
}

// HTML is the document as one self-contained page.
func (d *Document) HTML() ([]byte, error) {
	data := documentData{Document: d}
	for _, s := range d.Sections {
		part := documentPart{Section: s}
		for _, f := range s.Figures {
			drawn, err := f.inline()
			if err != nil {
				return nil, err
			}
			part.Drawn = append(part.Drawn, drawn)
		}
		data.Parts = append(data.Parts, part)
	}
	return fill(documentPage, data)
}

func fill(t *template.Template, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("filling the report's page: %w", err)
	}
	return b.Bytes(), nil
}
