package eval_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metalora/eval"
	"metalora/eval/chart"
)

// TestDocument writes a document of hostile texts: no text becomes markup, every file is there, and stale drawings are gone.
func TestDocument(t *testing.T) {
	c := chart.New("a <b> & c", "", "x", "y")
	c.Line("<i>", 0, []chart.Point{chart.At(1, 2), chart.At(2, 3)})
	d := &eval.Document{Title: "title <script>", Question: "why?", Answer: []string{"because <b>"}, Command: "metalora <x>", Configuration: "a: <y>",
		Sections: []eval.Section{{ID: "one", Title: "One <h1>", Text: []string{"text <p>"},
			Tables:  []eval.Table{{Key: "numbers", Title: "t", Columns: []eval.Column{{Key: "n", Name: "n <u>"}}, Rows: [][]eval.Cell{{eval.Digits(0.000123456, 3)}, {eval.Words("=1+1 <s>")}}}},
			Figures: []eval.Figure{{Name: "line", Caption: "caption <q>", Chart: c}}}}}
	dir := t.TempDir()
	stale := filepath.Join(dir, "figures", "stale.png")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("a stale drawing is still there")
	}
	files := map[string]string{}
	for _, name := range []string{"index.html", "summary.txt", "summary.json", "numbers.csv", "figures/line.svg", "figures/line.png"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(data)
	}
	for _, tag := range []string{"<script>", "<b>", "<x>", "<y>", "<h1>One", "<u>", "<s>", "<q>", "<i>"} {
		if strings.Contains(files["index.html"], tag) {
			t.Errorf("the page holds %s", tag)
		}
	}
	if want := "n\n0.000123456\n'=1+1 <s>\n"; files["numbers.csv"] != want {
		t.Errorf("CSV %q, want %q", files["numbers.csv"], want)
	}
	if !strings.Contains(files["summary.txt"], "0.000123\n") {
		t.Errorf("text:\n%s", files["summary.txt"])
	}
	var back struct {
		Answer []string
		Tables []struct{ Rows [][]any }
	}
	if err := json.Unmarshal([]byte(files["summary.json"]), &back); err != nil || back.Tables[0].Rows[0][0] != 0.000123456 || len(back.Answer) != 1 {
		t.Errorf("%v: %+v", err, back)
	}
}
