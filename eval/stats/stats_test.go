package stats_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"metalora/eval/stats"
	"metalora/pipeline/rng"
)

// Goldens without another source are scipy 1.17.1's, of the same numbers:
//
//	st.sem(x); st.t.interval(.95, 6, loc=np.mean(x), scale=st.sem(x)); st.ttest_rel(x, y); st.binom.sf(k-1, n, p)
//	st.permutation_test((x, y), lambda a, b: np.mean(a-b), permutation_type='samples', n_resamples=np.inf)
//	st.poisson_binom.sf(k-1, ps)
var (
	x = []float64{41.52, 39.57, 45.76, 47.48, 40.22, 38.1, 50.3}
	y = []float64{40.1, 37.9, 46.0, 42.2, 38.8, 38.1, 44.4}
	// darwin: heights of crossed less those of self-fertilised maize, in eighths of an inch. Fisher, "The Design of
	// Experiments" (1935), section 21, counts 1,726 of the 32,768 sign patterns: p = 5.267 %.
	darwin = []float64{49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48}
)

var near = cmp.Options{cmpopts.EquateApprox(1e-9, 1e-12), cmpopts.EquateNaNs()}

func check(t *testing.T, name string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestSummary(t *testing.T) {
	check(t, "mean", stats.Mean(x), 43.278571428571425)
	check(t, "standard deviation", stats.StandardDeviation(x), 4.584911589738048)
	check(t, "standard error", stats.StandardError(x), 1.7329336928092394)
	check(t, "interval", stats.MeanInterval(x, 0.95), stats.Interval{Low: 39.038235438388064, High: 47.518907418754786})
	check(t, "median of 7", stats.Median(x), 41.52)
	check(t, "median of 2", stats.Median(x[:2]), (41.52+39.57)/2)
	nan := math.NaN()
	check(t, "mean of none", stats.Mean(nil), nan)
	check(t, "median of none", stats.Median(nil), nan)
	check(t, "error of one", stats.StandardError(x[:1]), nan)
	check(t, "interval of one", stats.MeanInterval(x[:1], 0.95), stats.Interval{Low: nan, High: nan})
}

func TestCompare(t *testing.T) {
	got, err := stats.Compare(x, y)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "scipy's numbers", got, stats.Paired{
		N: 7, Difference: 15.45 / 7, StandardError: 15.45 / 7 / 2.4018216893039144,
		Interval: stats.Interval{Low: -0.04143539425849818, High: 4.4557211085442106},
		SignFlip: 0.0625, Exact: true, T: 2.4018216893039144, Student: 0.053162766411423056, Effect: 0.907803269059886,
	})
	maize, err := stats.Compare(darwin, make([]float64, len(darwin)))
	if err != nil {
		t.Fatal(err)
	}
	check(t, "Darwin's maize, sign flips", maize.SignFlip, 1726.0/32768)
	check(t, "Darwin's maize, t", maize.Student, 0.049702944021800866)
}

func TestCompareOfDegenerateSamples(t *testing.T) {
	same, err := stats.Compare(x, x)
	if err != nil {
		t.Fatal(err)
	}
	if same.SignFlip != 1 || !math.IsNaN(same.Student) || same.Difference != 0 {
		t.Errorf("no difference at all: %+v", same)
	}
	one, err := stats.Compare([]float64{3}, []float64{1})
	if err != nil {
		t.Fatal(err)
	}
	if one.SignFlip != 1 || !math.IsNaN(one.Student) || !math.IsNaN(one.Interval.Low) || one.Difference != 2 {
		t.Errorf("one pair: %+v", one)
	}
	for name, pair := range map[string][2][]float64{
		"lengths": {{1}, {1, 2}}, "empty": {nil, nil}, "NaN": {{math.NaN()}, {1}}, "infinite": {{math.Inf(1)}, {1}},
	} {
		if _, err := stats.Compare(pair[0], pair[1]); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

// TestSignFlipDrawn repeats Darwin's differences so that patterns are drawn, and holds them against the exact distribution
// of the sum, which integers allow: the number of patterns that reach each sum.
func TestSignFlipDrawn(t *testing.T) {
	d := append(append([]float64{}, darwin...), -49, 67, 8, -16, 6, 23, -28)
	got, exact := stats.SignFlip(d)
	if exact {
		t.Fatal("22 differences: want drawn patterns")
	}
	counts := map[int]float64{0: 1}
	sum := 0
	for _, v := range d {
		next := map[int]float64{}
		for s, n := range counts {
			next[s+int(v)] += n / 2
			next[s-int(v)] += n / 2
		}
		counts, sum = next, sum+int(v)
	}
	want := 0.0
	for s, share := range counts {
		if s >= sum || -s >= sum {
			want += share
		}
	}
	if spread := 5 * math.Sqrt(want*(1-want)/100000); math.Abs(got-want) > spread {
		t.Errorf("p = %v, want %v ± %v", got, want, spread)
	}
	if again, _ := stats.SignFlip(d); again != got {
		t.Errorf("second call gives %v, first gave %v", again, got)
	}
}

// TestSignFlipTies: sums that are equal on paper count as equal whatever rounding did to them.
func TestSignFlipTies(t *testing.T) {
	if p, _ := stats.SignFlip([]float64{0.1, 0.2, -0.3}); p != 1 {
		t.Errorf("0.1 + 0.2 - 0.3: p = %v, want 1", p)
	}
	if p, _ := stats.SignFlip([]float64{0.1, 0.1, -0.1, 0.1, 0.1}); p != 12.0/32 {
		t.Errorf("four of five: p = %v, want 0.375", p)
	}
}

func TestBinomialTail(t *testing.T) {
	for _, c := range []struct {
		k, n int
		p    float64
		want float64
	}{
		{1, 1, .05, 0.05}, {15, 154, .05, 0.010665856342054993}, {60, 154, .05, 2.5956082447202164e-37},
		{8, 20, .5, 0.8684120178222656}, {3, 10, .05, 0.011503557379296871}, {154, 154, .05, 4.379057701015091e-201},
		{300, 1209, .2, 2.6255307300728235e-05}, {0, 10, .3, 1}, {-1, 10, .3, 1}, {11, 10, .3, 0}, {5, 5, 1, 1}, {1, 5, 0, 0},
		{1, -1, .5, math.NaN()}, {1, 2, 1.5, math.NaN()}, {1, 2, math.NaN(), math.NaN()},
	} {
		got := stats.BinomialTail(c.k, c.n, c.p)
		if diff := cmp.Diff(c.want, got, cmpopts.EquateApprox(1e-10, 0), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("P(X >= %d | %d, %v) (-want +got): %s", c.k, c.n, c.p, diff)
		}
	}
}

func TestPoissonBinomialTail(t *testing.T) {
	unequal := []float64{1. / 20, 1. / 10, 1. / 5, 1. / 2, 1. / 3, 1. / 20, 1. / 19}
	for k, want := range map[int]float64{0: 1, 1: 0.7948, 2: 0.3799, 4: 0.013050438596491132, 7: 4.385964911257645e-07, 8: 0} {
		check(t, "unequal coins", stats.PoissonBinomialTail(k, unequal), want)
	}
	equal := make([]float64, 154)
	for i := range equal {
		equal[i] = 0.05
	}
	for k := range 155 {
		got, want := stats.PoissonBinomialTail(k, equal), stats.BinomialTail(k, 154, 0.05)
		if math.Abs(got-want) > 1e-10*want {
			t.Errorf("equal coins, k = %d: %v, binomial %v", k, got, want)
		}
	}
	if got := stats.PoissonBinomialTail(1, []float64{0.5, 1.5}); !math.IsNaN(got) {
		t.Errorf("no probability: %v, want NaN", got)
	}
}

// TestHolm: example of R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm"), reordered, and one that reaches 1.
func TestHolm(t *testing.T) {
	check(t, "R's example", stats.Holm([]float64{0.03, 0.01, 0.05, 0.02, 0.04}), []float64{0.09, 0.05, 0.09, 0.08, 0.09})
	check(t, "capped", stats.Holm([]float64{0.6, 0.7}), []float64{1, 1})
	check(t, "with NaN", stats.Holm([]float64{math.NaN(), 0.01}), []float64{math.NaN(), 0.02})
	check(t, "none", stats.Holm(nil), []float64{})
}

func TestSmallestP(t *testing.T) {
	for n, want := range map[int]float64{0: 1, 1: 1, 2: 0.5, 5: 0.0625, 10: 0.001953125} {
		d := make([]float64, n)
		for i := range d {
			d[i] = 1
		}
		if got, _ := stats.SignFlip(d); got != want || stats.SmallestP(n) != want {
			t.Errorf("n = %d: sign flip %v, smallest %v, want %v", n, got, stats.SmallestP(n), want)
		}
	}
}

// TestBootstrap holds the interval of many equal dialogues against the normal approximation of the same mean.
func TestBootstrap(t *testing.T) {
	var clusters []stats.Cluster
	for i := range 200 {
		clusters = append(clusters, stats.Cluster{Correct: float64(i % 2 * 4), Turns: 4})
	}
	got := stats.Bootstrap([][]stats.Cluster{clusters}, 0.95, 4000, rng.New(1, "test"))
	half := 1.96 * 0.5 / math.Sqrt(200)
	if math.Abs(got.Low-(0.5-half)) > 0.01 || math.Abs(got.High-(0.5+half)) > 0.01 {
		t.Errorf("interval %v, want 0.5 ± %.3f", got, half)
	}
	// 100 tasks of two dialogues, one all right and one all wrong: the mean of 100 fair coins, standard error 0.05.
	pairs := make([][]stats.Cluster, 100)
	for i := range pairs {
		pairs[i] = []stats.Cluster{{Correct: 5, Turns: 5}, {Correct: 0, Turns: 5}}
	}
	got = stats.Bootstrap(pairs, 0.95, 4000, rng.New(2, "test"))
	if math.Abs(got.Low-0.402) > 0.012 || math.Abs(got.High-0.598) > 0.012 {
		t.Errorf("two dialogues a task: %v, want 0.5 ± 0.098", got)
	}
	nan := stats.Interval{Low: math.NaN(), High: math.NaN()}
	check(t, "one dialogue", stats.Bootstrap([][]stats.Cluster{{{1, 2}}}, 0.95, 100, rng.New(1)), nan)
	check(t, "empty task", stats.Bootstrap([][]stats.Cluster{clusters, nil}, 0.95, 100, rng.New(1)), nan)
	check(t, "dialogue without turns", stats.Bootstrap([][]stats.Cluster{{{0, 0}, {1, 2}}}, 0.95, 100, rng.New(1)), nan)
}

// TestFitLine: scipy's linregress(x, y), and stderr * t.ppf(.975, 5) around its slope.
func TestFitLine(t *testing.T) {
	check(t, "scipy's numbers", stats.FitLine(x, y, 0.95), stats.Line{N: 7, Intercept: 14.942800504791357, Slope: 0.60373129713306,
		Interval: stats.Interval{Low: 0.19863628238767966, High: 1.0088263118784402}})
	nan := math.NaN()
	none := stats.Interval{Low: nan, High: nan}
	check(t, "two points", stats.FitLine([]float64{1, 3}, []float64{2, 8}, 0.95), stats.Line{N: 2, Intercept: -1, Slope: 3, Interval: none})
	check(t, "one point", stats.FitLine([]float64{1}, []float64{2}, 0.95), stats.Line{N: 1, Intercept: nan, Slope: nan, Interval: none})
}

// TestShareInterval: scipy's binomtest(k, n).proportion_ci(.95, "exact").
func TestShareInterval(t *testing.T) {
	for _, c := range []struct {
		k, n int
		want stats.Interval
	}{
		{0, 1000, stats.Interval{Low: 0, High: 0.003682083896639526}},
		{3, 1000, stats.Interval{Low: 0.0006190999316499173, High: 0.008742023238657654}},
		{45, 1000, stats.Interval{Low: 0.033009625431148736, High: 0.05975283269341042}},
		{20, 20, stats.Interval{Low: 0.8315665290169145, High: 1}},
		{5, 10, stats.Interval{Low: 0.1870860284474045, High: 0.8129139715525955}},
		{1, 0, stats.Interval{Low: math.NaN(), High: math.NaN()}},
		{3, 2, stats.Interval{Low: math.NaN(), High: math.NaN()}},
	} {
		check(t, "interval", stats.ShareInterval(c.k, c.n, 0.95), c.want)
	}
}

// TestWilcoxon: Darwin's maize as scipy's documentation of wilcoxon has it, two more of scipy's (method exact), and ties counted by
// hand: ranks 2, 2, -2, 4 of {1, 1, -1, 2}, whose sum of 6 is reached by 8 of 16 sign patterns.
func TestWilcoxon(t *testing.T) {
	for _, c := range []struct {
		d    []float64
		want float64
	}{
		{darwin, 0.041259765625},
		{[]float64{1.2, -0.4, 3.1, 2.2, -1.7, 0.9, 4.0}, 0.15625},
		{[]float64{0.5, 0.1, 0.9, 1.3, 2.1, -0.2, 0.7, 1.9, -0.3, 0.8}, 0.01953125},
		{[]float64{1, 0, 1, -1, 2}, 0.5},
		{[]float64{1, 1, -1, 2, 2, 3, -3, 4, 0, 5}, 0.12109375}, // ties and a zero: scipy's permutation_test of the rank sum
		{[]float64{0, 0}, 1},
		{nil, 1},
	} {
		if got, exact := stats.Wilcoxon(c.d); math.Abs(got-c.want) > 1e-12 || !exact {
			t.Errorf("%v: p %v (exact: %v), want %v", c.d, got, exact, c.want)
		}
	}
}

// TestWilcoxonDrawn: beyond 20 differences sign patterns are drawn; scipy's wilcoxon(d, method="approx", correction=False) gives
// 0.0065971 for these 60.
func TestWilcoxonDrawn(t *testing.T) {
	d := make([]float64, 60)
	for i := range d {
		d[i] = float64(i*7919%101-38) / 10
	}
	const want = 0.006597150759561498
	got, exact := stats.Wilcoxon(d)
	if exact || math.Abs(got-want) > 0.001 { // the normal approximation's own error, and four standard errors of the drawing
		t.Errorf("p %v (exact: %v), want about %v, drawn", got, exact, want)
	}
}

// TestPairedPower: scipy's t = st.t.ppf(.975, n-1); st.nct.sf(t, n-1, d/s*sqrt(n)) + st.nct.cdf(-t, n-1, d/s*sqrt(n)).
func TestPairedPower(t *testing.T) {
	for _, c := range []struct {
		deviation, difference float64
		n                     int
		want                  float64
	}{
		{3, 2, 5, 0.2113344895460399}, {3, 2, 20, 0.8072916797687589}, {3, 2, 2, 0.07060747398413204}, {3, 2, 3, 0.10978590979146674},
		{1, 0, 10, 0.05}, {10, 1, 500, 0.6071255422735808}, {3, -2, 20, 0.8072916797687589}, {0, 1, 5, math.NaN()}, {1, 1, 1, math.NaN()},
	} {
		if diff := cmp.Diff(c.want, stats.PairedPower(c.deviation, c.difference, c.n), cmpopts.EquateApprox(1e-7, 0), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%+v (-want +got): %s", c, diff)
		}
	}
}

// TestPairsNeeded: the least n at which scipy's noncentral t gives a power of 0.8; Cohen's tables (1988) have 34 for d_z = 0.5.
func TestPairsNeeded(t *testing.T) {
	for _, c := range []struct{ deviation, difference, want float64 }{
		{3, 2, 20}, {1, 2, 5}, {1, 0.5, 34}, {0, 0.02, 2}, {math.NaN(), 0.02, math.NaN()},
	} {
		check(t, "pairs", stats.PairsNeeded(c.deviation, c.difference), c.want)
	}
}
