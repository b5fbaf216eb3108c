package eval_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/eval"
	"metalora/pipeline/golden"
)

func awkward() eval.Table {
	return eval.Table{
		Key: "awkward", Title: "Awkward cells", Columns: []eval.Column{{Key: "name", Name: "name"}, {Key: "=value", Name: "value"}, {Key: "p", Name: "p"}},
		Rows: [][]eval.Cell{
			{eval.Words("=HYPERLINK(\"x\")"), eval.Percent(0.12345), eval.PValue(0.0001)},
			{eval.Words("+1"), eval.Points(0.05), eval.PValue(0.25)},
			{eval.Words("-x, \"quoted\""), eval.Points(-0.0001), eval.PValue(math.NaN())},
			{eval.Words("@sum"), eval.Points(-0.05), eval.Number(math.Inf(1), 2)},
			{eval.Words("\ttab\nline"), eval.Count(1234567), eval.Number(-1.5, 1)},
			{eval.Words("é – ß"), eval.Count(-999), eval.Words("word")},
		},
		Notes: []string{strings.Repeat("a note that goes on ", 8)},
	}
}

func TestTableForms(t *testing.T) {
	var text, comma bytes.Buffer
	if err := awkward().WriteText(&text); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/awkward.txt", text.String())
	if err := awkward().WriteCSV(&comma); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/awkward.csv", comma.String())
	data, err := json.MarshalIndent(awkward(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/awkward.json", string(data)+"\n")
}

func TestOnly(t *testing.T) {
	got := awkward().Only("p", "missing", "name")
	if diff := cmp.Diff([]eval.Column{{Key: "p", Name: "p"}, {Key: "name", Name: "name"}}, got.Columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	if got.Rows[1][1].Text != "+1" || len(got.Rows) != 6 {
		t.Errorf("rows: %v", got.Rows)
	}
}

// FuzzCSV: whatever a name is, the file stays readable, the name comes back, and no cell starts a formula.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"", "=1+1", "+1", "-", "-1e3", "@x", "\r", "\t=1", "a,b\"c\n", "'=x", "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		table := eval.Table{Columns: []eval.Column{{Key: name}, {Key: "x"}}, Rows: [][]eval.Cell{{eval.Words(name), eval.Words("x")}}}
		var b bytes.Buffer
		if err := table.WriteCSV(&b); err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(records) != 2 {
			t.Fatalf("reading %q again: %v, %d records", name, err, len(records))
		}
		cell := records[1][0]
		_, number := strconv.ParseFloat(cell, 64)
		if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) && number != nil {
			t.Errorf("cell %q would be a formula", cell)
		}
		// A reader turns \r\n into \n; all else comes back but for the apostrophe in front.
		want := strings.ReplaceAll(name, "\r\n", "\n")
		if cell != want && cell != "'"+want && !strings.Contains(name, "\r") {
			t.Errorf("%q came back as %q", name, cell)
		}
	})
}
