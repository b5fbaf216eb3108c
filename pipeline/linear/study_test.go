package linear

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metalora/eval"
	"metalora/pipeline/fault"
	"metalora/pipeline/golden"
)

// tiny is a study of half a second.
func tiny(t *testing.T, sets ...string) *Config {
	t.Helper()
	c, err := Load("../../configs/linear-small.yaml", append([]string{"vary={dimension: [4, 5], samples: [50, 500], adapt_samples: [40, 80]}",
		"adapt.steps={dimension: 60, tasks: 60, samples: 60, adapt_samples: 60, rank: 60}", "retrain.steps=100",
		"recovery.samples=[100, 1000]", "slope={rank: [1], samples: [100, 400], steps: 100}"}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func quiet(int, int, string) {}

// TestReport: the tables of a tiny study are those kept, and its report is whole.
func TestReport(t *testing.T) {
	c, dir := tiny(t), t.TempDir()
	results, err := Run(t.Context(), c, dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Report(c, results)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, table := range report.Tables() {
		if table.Key == "landscape" {
			table = table.Only("dimension", "tasks", "rank", "starts", "global", "spurious", "saddles", "moving") // the rest is rounding
		}
		if err := table.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		text.WriteByte('\n')
	}
	golden.Compare(t, "testdata/tables.txt", text.String())
	if err := report.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.html", "summary.txt", "summary.json", "theorems.csv", "adaptation.csv", "recovery.csv", "slope.csv", "landscape.csv", "ends.csv",
		"figures/error-by-adapt-samples.png", "figures/course-by-rank-noise-0.1.svg", "figures/recovery.svg", "figures/slope-noise-0.1.png"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(page, []byte("<figure")); got != 12 {
		t.Errorf("%d figures on the page, want 5 of ends, 5 of courses, recovery and slope", got)
	}
}

// TestRunGoesOn: a run that is stopped, damaged or done on other threads ends in the same results.
func TestRunGoesOn(t *testing.T) {
	whole, err := Run(t.Context(), tiny(t, "threads=2"), t.TempDir(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = Run(ctx, tiny(t, "threads=1"), dir, func(done, _ int, _ string) {
		if done == 3 {
			cancel()
		}
	})
	if !errors.Is(err, fault.Stopped) || fault.Code(err) != fault.CodeStopped {
		t.Fatalf("a cancelled run: %v", err)
	}
	first := 0
	again, err := Run(t.Context(), tiny(t, "threads=1"), dir, func(done, _ int, _ string) {
		if first == 0 {
			first = done
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if first < 4 {
		t.Errorf("the run began with part %d: finished parts were computed again", first)
	}
	if diff := cmp.Diff(whole, again); diff != "" {
		t.Errorf("-at once +stopped:\n%s", diff)
	}
	for _, x := range []struct {
		name string
		spoil,
		run *Config
		code int
	}{
		{"other settings", nil, tiny(t, "seed=1"), fault.CodeUsage},
		{"more threads", nil, tiny(t, "threads=3"), fault.CodeDone},
		{"broken part", tiny(t), tiny(t), fault.CodeInput},
	} {
		if x.spoil != nil {
			if err := os.WriteFile(partPath(dir, x.spoil.parts()[0].name), []byte(`{"rests": [`), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Run(t.Context(), x.run, dir, quiet); fault.Code(err) != x.code {
			t.Errorf("%s: exit code %d (%v), want %d", x.name, fault.Code(err), err, x.code)
		}
	}
}

// TestDivergence: a rate that is too high ends with the code for numbers that broke, and says so.
func TestDivergence(t *testing.T) {
	for _, set := range []string{"retrain.rate=50", "adapt.rate=5"} {
		_, err := Run(t.Context(), tiny(t, set), t.TempDir(), quiet)
		if fault.Code(err) != fault.CodeNumbers || !strings.Contains(err.Error(), "rate") {
			t.Errorf("%s: exit code %d: %v", set, fault.Code(err), err)
		}
	}
}

// TestChecksCanFail: results that contradict a claim are reported so.
func TestChecksCanFail(t *testing.T) {
	c := tiny(t)
	rest := func(tasks int, change func(*End)) Rest {
		r := Rest{Case: Case{6, tasks, 1}, End: End{Still: true, Scale: 10, Curvature: 10}}
		change(&r.End)
		return r
	}
	good := func(*End) {}
	spurious := func(e *End) { e.Loss, e.Smallest = 1, 0.1 }
	for name, x := range map[string]struct {
		rests []Rest
		claim string
		holds bool
	}{
		"all global":               {[]Rest{rest(2, good)}, "T = 2: random starts", true},
		"spurious on two tasks":    {[]Rest{rest(2, good), rest(2, spurious)}, "T = 2: random starts", false},
		"rank above 2k":            {[]Rest{rest(2, func(e *End) { e.Rank = 3 })}, "T = 2: global minima", false},
		"minimum elsewhere":        {[]Rest{rest(3, good), rest(3, func(e *End) { e.Rank = 1 })}, "T > 2: global minima", false},
		"no spurious one":          {[]Rest{rest(3, good)}, "T > 2, d ≥ kT", false},
		"many spurious ones":       {[]Rest{rest(3, good), rest(3, spurious)}, "T > 2, d ≥ kT", false},
		"a saddle is not spurious": {[]Rest{rest(3, func(e *End) { e.Loss, e.Smallest = 1, -1 })}, "T > 2, d ≥ kT", false},
	} {
		found := false
		for _, check := range c.Checks(&Results{Rests: x.rests}) {
			if strings.HasPrefix(check.Claim, x.claim) {
				found = true
				if check.Holds != x.holds {
					t.Errorf("%s: %+v", name, check)
				}
			}
		}
		if !found {
			t.Errorf("%s: no check of %q", name, x.claim)
		}
	}
}

// TestRankChecks: a rank that is not kT, and a distance that does not shrink, fail their checks.
func TestRankChecks(t *testing.T) {
	c := tiny(t)
	ends := func(power float64, singular []float64) *Results {
		var r Results
		for i, n := range []int{100, 1000, 10000} {
			r.Recovered = append(r.Recovered, Recovered{Point: Point{6, 3, n, 1, 1}, Noise: 0.1, Method: NameSR,
				FromMid: []float64{1, power, power * power}[i], Singular: singular})
		}
		return &r
	}
	for name, x := range map[string]struct {
		results *Results
		holds   map[string]bool
	}{
		"as claimed":    {ends(0.316, []float64{3, 2, 1, 1e-9, 0, 0}), map[string]bool{"rank of SR": true, "SR's distance": true}},
		"rank too high": {ends(0.316, []float64{3, 2, 1, 1, 0, 0}), map[string]bool{"rank of SR": false}},
		"rank too low":  {ends(0.316, []float64{3, 2, 0, 0, 0, 0}), map[string]bool{"rank of SR": false}},
		"no approach":   {ends(1, []float64{3, 2, 1, 0, 0, 0}), map[string]bool{"SR's distance": false}},
	} {
		for _, check := range c.Checks(x.results) {
			for claim, holds := range x.holds {
				if strings.HasPrefix(check.Claim, claim) && check.Holds != holds {
					t.Errorf("%s: %+v", name, check)
				}
			}
		}
	}
}

// TestDocumentStaysWhole: a figure without data leaves the page whole.
func TestDocumentStaysWhole(t *testing.T) {
	c := tiny(t)
	report, err := Report(c, &Results{})
	if err != nil {
		t.Fatal(err)
	}
	page, err := report.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range eval.CheckReport(page) {
		if !strings.HasPrefix(problem, "section ") { // a study's own sections
			t.Error(problem)
		}
	}
}

// TestSlopeChecks: an error that does not fall with kd/n, is too large, or falls where it should not, fails its check.
func TestSlopeChecks(t *testing.T) {
	c := tiny(t)
	fits := func(base string, error func(Fitted) float64) *Results {
		var r Results
		for _, n := range []int{100, 1000, 10000} {
			f := Fitted{Base: base, Point: Point{6, 3, 100, n, 2}, Noise: 0.1, Rank: 2, FromTruth: 0.01}
			f.Error = error(f)
			r.Fitted = append(r.Fitted, f)
		}
		return &r
	}
	constant := func(Fitted) float64 { return 0.3 }
	for name, x := range map[string]struct {
		results *Results
		claim   string
		holds   bool
	}{
		"law":             {fits(BaseExact, Fitted.Expected), "from A* itself the new", true},
		"law's constant":  {fits(BaseExact, Fitted.Expected), "from A* itself: error", true},
		"no law":          {fits(BaseExact, constant), "from A* itself the new", false},
		"twice as large":  {fits(BaseExact, func(f Fitted) float64 { return 2 * f.Expected() }), "from A* itself: error", false},
		"base's own":      {fits(BaseMeta, Fitted.Reachable), "from Meta-LoRA", true},
		"above its own":   {fits(BaseMeta, constant), "from Meta-LoRA", false},
		"SR is stuck":     {fits(BaseSR, constant), "from SR", true},
		"SR is not stuck": {fits(BaseSR, Fitted.Expected), "from SR", false},
	} {
		found := false
		for _, check := range c.Checks(x.results) {
			if strings.HasPrefix(check.Claim, x.claim) {
				found = true
				if check.Holds != x.holds {
					t.Errorf("%s: %+v", name, check)
				}
			}
		}
		if !found {
			t.Errorf("%s: no check of %q", name, x.claim)
		}
	}
}
