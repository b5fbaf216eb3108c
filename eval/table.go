package eval

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Cell is one entry of a table: words, or a number with the way it is shown. Text is for people, Number for programs.
type Cell struct {
	Text    string
	Number  float64
	Numeric bool
}

// Words is a cell of text.
func Words(text string) Cell { return Cell{Text: text} }

// Number is a cell that shows v with that many digits after the point; NaN and infinities show as a dash.
func Number(v float64, digits int) Cell {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Cell{Text: "–", Number: v, Numeric: true}
	}
	return Cell{Text: strconv.FormatFloat(v, 'f', digits, 64), Number: v, Numeric: true}
}

// Digits is a cell that shows v with that many significant digits, for numbers of many sizes.
func Digits(v float64, digits int) Cell {
	c := Number(v, 0)
	if c.Text != "–" {
		c.Text = strconv.FormatFloat(v, 'g', digits, 64)
	}
	return c
}

// Count is a cell of a whole number, thousands apart by a thin gap in text.
func Count(n int) Cell { return Cell{Text: grouped(n), Number: float64(n), Numeric: true} }

// Percent is a cell of a part of one, shown and exported as a percentage with one digit: a point is a turn of a hundred.
func Percent(part float64) Cell { return Number(100*part, 1) }

// Points is a difference of percentages, with its sign.
func Points(part float64) Cell {
	c := Number(100*part, 1)
	if c.Number > 0 && c.Text != "0.0" {
		c.Text = "+" + c.Text
	}
	return c.plainZero()
}

// PValue is a cell of a probability, with three digits.
func PValue(p float64) Cell {
	c := Number(p, 3)
	if p >= 0 && p < 0.001 {
		c.Text = "<0.001"
	}
	return c
}

// plainZero shows a zero that came from below as a zero.
func (c Cell) plainZero() Cell {
	if c.Text == "-0.0" {
		c.Text = "0.0"
	}
	return c
}

// MarshalJSON writes a number, null where it is none, or a string.
func (c Cell) MarshalJSON() ([]byte, error) {
	if !c.Numeric {
		return json.Marshal(c.Text)
	}
	if math.IsNaN(c.Number) || math.IsInf(c.Number, 0) {
		return []byte("null"), nil
	}
	return []byte(c.digits()), nil
}

// digits is a finite number for programs: ten significant digits, which all processors agree on.
func (c Cell) digits() string {
	if c.Number == math.Trunc(c.Number) && math.Abs(c.Number) < 1e15 {
		return strconv.FormatFloat(c.Number+0, 'f', 0, 64) // + 0: a negative zero is a zero
	}
	return strconv.FormatFloat(c.Number, 'g', 10, 64)
}

// Column heads a table's column. Key is for programs and Name, which may be empty for an unnamed one, for people.
type Column struct {
	Key  string `json:"key"`
	Name string `json:"name"`
}

// Table is rows of cells under columns, shown as aligned text, CSV, JSON or HTML.
type Table struct {
	Key     string   `json:"key"` // a file name's stem
	Title   string   `json:"title"`
	Columns []Column `json:"columns"`
	Rows    [][]Cell `json:"rows"`
	Notes   []string `json:"notes"`
}

// Only keeps the columns of those keys, in their order.
func (t Table) Only(keys ...string) Table {
	narrow := Table{Key: t.Key, Title: t.Title, Notes: t.Notes, Rows: make([][]Cell, len(t.Rows))}
	for _, key := range keys {
		for i, column := range t.Columns {
			if column.Key != key {
				continue
			}
			narrow.Columns = append(narrow.Columns, column)
			for r, row := range t.Rows {
				narrow.Rows[r] = append(narrow.Rows[r], row[i])
			}
		}
	}
	return narrow
}

// Numeric says whether a column holds numbers, and so stands to the right.
func (t Table) Numeric(column int) bool {
	for _, row := range t.Rows {
		if row[column].Numeric {
			return true
		}
	}
	return false
}

// WriteText writes title, aligned columns and notes; numbers stand to the right.
func (t Table) WriteText(w io.Writer) error {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = utf8.RuneCountInString(oneLine(c.Name))
		for _, row := range t.Rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(oneLine(row[i].Text)))
		}
	}
	var b strings.Builder
	if t.Title != "" {
		b.WriteString(oneLine(t.Title) + "\n")
	}
	line := func(text func(int) string) {
		var cells []string
		for i, width := range widths {
			cells = append(cells, pad(oneLine(text(i)), width, t.Numeric(i)))
		}
		b.WriteString(strings.TrimRight(strings.Join(cells, "  "), " ") + "\n")
	}
	line(func(i int) string { return t.Columns[i].Name })
	line(func(i int) string { return strings.Repeat("-", widths[i]) })
	for _, row := range t.Rows {
		line(func(i int) string { return row[i].Text })
	}
	for _, note := range t.Notes {
		b.WriteString(folded(oneLine(note), 98, "  "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteCSV writes keys and rows. Numbers keep ten digits and are empty where undefined. Text that a spreadsheet would
// run as a formula gets an apostrophe in front.
func (t Table) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	record := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		record[i] = harmless(c.Key)
	}
	if err := out.Write(record); err != nil {
		return fmt.Errorf("writing table %s: %w", t.Key, err)
	}
	for _, row := range t.Rows {
		for i, c := range row {
			record[i] = c.csv()
		}
		if err := out.Write(record); err != nil {
			return fmt.Errorf("writing table %s: %w", t.Key, err)
		}
	}
	out.Flush()
	return out.Error()
}

func (c Cell) csv() string {
	switch {
	case !c.Numeric:
		return harmless(c.Text)
	case math.IsNaN(c.Number) || math.IsInf(c.Number, 0):
		return ""
	}
	return c.digits()
}

// harmless disarms text that spreadsheets take for a formula (OWASP, "CSV Injection"), unless it is a plain number.
func harmless(text string) string {
	if text == "" || !strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return text
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return text
	}
	return "'" + text
}
