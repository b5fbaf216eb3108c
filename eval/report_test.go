package eval_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"metalora/eval"
	"metalora/pipeline/golden"
)

func fullStudy() *eval.Study {
	return sampleStudy([]string{"sr", "meta-lora-8", "reptile"}, []string{"lora-8", "head"}, 3, 6)
}

// unfinished is a study that was stopped: units missing in one adaptation, one seed, no retraining curves.
func unfinished() *eval.Study {
	s := sampleStudy([]string{"sr", "meta-lora-8"}, []string{"lora-8"}, 1, 3)
	s.Records, s.Curves = s.Records[:5], nil
	s.Missing = []string{"adapt-meta-lora-8-lora-8-s0-t2"}
	return s
}

// folder reads a report's files, figures apart.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// studies are reports of every state a study can be in, and one whose names are attacks.
func studies() map[string]*eval.Study {
	hostile := fullStudy()
	hostile.Title, hostile.Question = "<script>alert(1)</script>", `a "link" <a href="https://example.com">x</a> & NaN % @import url(x)`
	hostile.Configuration = "url: https://example.com\nx: '</pre><img src=x>'"
	hostile.Facts = append(hostile.Facts, [2]string{"<b>", "javascript:alert(1)"})
	for i := range hostile.Records {
		hostile.Records[i].Method = strings.Replace(hostile.Records[i].Method, "reptile", `"><img src=x onerror=y>`, 1)
		hostile.Records[i].Adaptation = strings.Replace(hostile.Records[i].Adaptation, "head", "../../etc/<x>", 1)
	}
	ended := unfinished()
	ended.Records = nil
	curves := fullStudy()
	curves.Records = nil
	oneSeed := fullStudy()
	for i, r := range oneSeed.Records {
		if r.Seed > 0 {
			oneSeed.Open = append(oneSeed.Open, eval.Place{Method: r.Method, Adaptation: r.Adaptation, Task: r.Task, Seed: r.Seed, Limit: r.Limit})
			oneSeed.Missing = append(oneSeed.Missing, fmt.Sprint("unit ", i))
		}
	}
	return map[string]*eval.Study{"full": fullStudy(), "unfinished": unfinished(), "nothing done": ended, "retraining alone": curves,
		"empty": {}, "hostile": hostile, "two tasks": twoTasks(), "one seed of several": oneSeed}
}

func TestReports(t *testing.T) {
	for name, s := range studies() {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "report")
			if err := s.WriteReport(dir); err != nil {
				t.Fatal(err)
			}
			files := folder(t, dir)
			if problems := eval.CheckReport([]byte(files["index.html"])); len(problems) > 0 {
				t.Errorf("page: %q", problems)
			}
			if strings.Contains(files["index.html"], "<script") || strings.Contains(files["index.html"], "<img") {
				t.Error("a name became markup")
			}
			if !json.Valid([]byte(files["summary.json"])) {
				t.Error("summary.json is no JSON")
			}
			for _, unit := range s.Missing {
				if !strings.Contains(files["index.html"], unit) || !strings.Contains(files["summary.txt"], unit) {
					t.Errorf("missing unit %s is not listed", unit)
				}
			}
			if marked := strings.Contains(files["index.html"], "Synthetic dialogues."); marked != s.Synthetic {
				t.Errorf("marked as synthetic: %v, is: %v", marked, s.Synthetic)
			}
		})
	}
}

func TestReportFiles(t *testing.T) {
	dir := t.TempDir()
	if err := fullStudy().WriteReport(dir); err != nil {
		t.Fatal(err)
	}
	files := folder(t, dir)
	for _, name := range []string{"index.html", "summary.txt", "summary.csv", "summary.json", "units.csv", "comparisons.csv", "spread.csv",
		"tasks-lora-8.csv", "tasks-head.csv", "retraining.csv", "cost.csv"} {
		if files[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	for _, name := range []string{"results", "differences", "scatter-lora-8", "scatter-head", "epochs-lora-8", "epochs-head", "tasks-lora-8", "tasks-head", "retraining-loss", "retraining-accuracy"} {
		if files["figures/"+name+".png"] == "" || files["figures/"+name+".svg"] == "" {
			t.Errorf("no figure %s", name)
		}
		if !strings.Contains(files["index.html"], `<figure id="figure-`+name+`"`) {
			t.Errorf("figure %s is not in the page", name)
		}
	}
	if n := len(files); n != 11+20 {
		t.Errorf("%d files", n)
	}
	golden.Compare(t, "testdata/summary.txt", files["summary.txt"])
	golden.Compare(t, "testdata/summary.csv", files["summary.csv"])
}

// TestReportRepeats: a second report differs in footers alone, and takes an earlier report's other figures with it.
func TestReportRepeats(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	old := fullStudy()
	if err := old.WriteReport(first); err != nil {
		t.Fatal(err)
	}
	if err := unfinished().WriteReport(second); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(second, "figures", "old.png"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	later := fullStudy()
	later.Footer = []string{"another host"}
	for i := range later.Records {
		later.Records[i].Seconds *= 3
	}
	if err := later.WriteReport(second); err != nil {
		t.Fatal(err)
	}
	a, b := folder(t, first), folder(t, second)
	cutFooters(a)
	cutFooters(b)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
}

// cutFooters removes what may differ.
func cutFooters(files map[string]string) {
	for name, mark := range map[string]string{"index.html": "<footer>", "summary.txt": "\n---- footer", "summary.json": "\n \"footer\": {"} {
		files[name], _, _ = strings.Cut(files[name], mark)
	}
}

func TestText(t *testing.T) {
	for name, s := range map[string]*eval.Study{"terminal.txt": fullStudy(), "terminal-unfinished.txt": unfinished()} {
		var b bytes.Buffer
		if err := s.Text(&b); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, "testdata/"+name, b.String())
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
	}
}

func TestCheckReportFinds(t *testing.T) {
	page, err := fullStudy().HTML()
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string][2]string{
		"section comparisons is missing": {`<section id="comparisons"`, `<section id="other"`},
		"page does not run":              {"</html>", ""},
		"figure 1 has no drawing":        {"<svg", "<sv"},
		"figure 1 has no caption":        {"<figcaption>", "<p>"},
		"outside of the page: <link":     {"</head>", `<link rel="stylesheet" href="style.css"></head>`},
		`outside of the page: <img`:      {"<footer>", `<footer><img src="figures/results.png">`},
		`outside of the page: href="ht`:  {"<footer>", `<footer><a href="https://example.com">x</a>`},
		"outside of the page: url(":      {"body {", "body { background: url(x.png);"},
		"shows a number that is none":    {"<td class=\"n\">34", "<td class=\"n\">NaN</td><td>34"},
	} {
		spoiled := strings.Replace(string(page), change[0], change[1], 1)
		if spoiled == string(page) {
			t.Errorf("%s: the page has no %q", want, change[0])
		}
		if got := strings.Join(eval.CheckReport([]byte(spoiled)), "\n"); !strings.Contains(got, want) {
			t.Errorf("want %q, got %q", want, got)
		}
	}
	if len(eval.CheckReport(nil)) == 0 {
		t.Error("an empty page is whole")
	}
}

func FuzzCheckReport(f *testing.F) {
	page, err := unfinished().HTML()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(page)
	f.Add([]byte(`<!DOCTYPE html><section id="answer"`))
	f.Fuzz(func(t *testing.T, page []byte) { eval.CheckReport(page) })
}
