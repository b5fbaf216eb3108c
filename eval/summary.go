package eval

import (
	"fmt"
	"math"
	"strings"

	"metalora/eval/stats"
)

// Summary is the study in tables: results, comparisons, how sure they are, tasks for each adaptation, and retraining. Tables that
// would be empty are left out. Nothing here depends on time or host.
func (s *Study) Summary() []Table {
	results := s.Results()
	tables := []Table{resultTable(results), s.comparisonTable(), spreadTable(results)}
	for _, adaptation := range distinct(results, func(r Result) string { return r.Adaptation }) {
		of := where(results, func(r Result) bool { return r.Adaptation == adaptation })
		tables = append(tables, taskTable(adaptation, of))
	}
	tables = append(tables, s.turnsTable(), s.exampleTable(), s.costTable(), s.retrainingTable())
	return unique(where(tables, func(t Table) bool { return len(t.Rows) > 0 }))
}

// unique gives every table a key of its own: two adaptations may have names that differ in punctuation alone.
func unique(tables []Table) []Table {
	seen := map[string]int{}
	for i, t := range tables {
		if seen[t.Key]++; seen[t.Key] > 1 {
			tables[i].Key = fmt.Sprintf("%s-%d", t.Key, seen[t.Key])
		}
	}
	return tables
}

// columns reads "key|name" pairs.
func columns(specs ...string) []Column {
	heads := make([]Column, len(specs))
	for i, spec := range specs {
		heads[i].Key, heads[i].Name, _ = strings.Cut(spec, "|")
	}
	return heads
}

func resultTable(results []Result) Table {
	t := Table{
		Key: "results", Title: "Accuracy on held-out turns after the last epoch (%)",
		Columns: columns("method|method", "adaptation|adaptation", "accuracy|acc.", "task_error|± tasks", "low|low", "high|high",
			"seed_error|± seeds", "hits5|hits@5", "mrr|MRR", "best|best ep.", "chance|chance", "tasks|tasks", "seeds|seeds",
			"turns|turns", "parameters|parameters", "done|done", "expected|of"),
		Notes: []string{
			"acc.: mean over tasks of means over seeds; ± tasks and ± seeds: standard errors of that mean; low, high: its 95 % interval, Student's t over tasks.",
			"best ep.: each unit at its best epoch, which was chosen on the very turns it is scored on. It flatters: nothing here goes by it. None where only the last was scored.",
		},
	}
	for _, r := range results {
		parameters := Count(r.Parameters[0])
		if r.Parameters[0] != r.Parameters[1] {
			parameters = Words(span(r.Parameters))
		}
		t.Rows = append(t.Rows, []Cell{Words(r.Method), Words(r.Adaptation), Percent(r.Accuracy), Percent(r.TaskError),
			Percent(r.Interval.Low), Percent(r.Interval.High), Percent(r.SeedError), Percent(r.Hits5), Number(r.MRR, 3), Percent(r.Best),
			Percent(r.Chance), Count(len(r.Tasks)), Count(len(r.Seeds)), Count(r.Turns), parameters, Count(r.Cells), Count(r.Expected)})
	}
	return t
}

func (s *Study) comparisonTable() Table {
	t := Table{
		Key: "comparisons", Title: "Methods compared, paired (percentage points)",
		Columns: columns("adaptation|adaptation", "a|method", "b|less", "difference|diff.", "low|low", "high|high", "p|p",
			"p_adjusted|p adj.", "p_wilcoxon|p (W)", "p_t|p (t)", "effect|d", "dialogues_low|dialogues low", "dialogues_high|dialogues high",
			"p_seeds|p seeds", "seed_sd|sd seeds", "seeds_needed|seeds for 2", "tasks|tasks", "seeds|seeds", "verdict|verdict"),
		Notes: []string{
			"p: two-sided sign-flip test over tasks; p adj.: Holm's correction over all comparisons with " + s.baseline() +
				" under one adaptation, which the verdict goes by. Other pairs are exploratory: their p is not adjusted, and they get no verdict.",
			"p (W): Wilcoxon's signed-rank test; p (t): paired t test; d: mean difference by its standard deviation over tasks. low, high: 95 % interval, Student's t, not adjusted.",
			"dialogues: 95 % interval of the difference, bootstrap of whole held-out dialogues inside each task.",
			"p seeds: sign-flip test over seeds, each the mean over tasks; sd seeds: standard deviation of that difference; seeds for 2: how many seeds would show a difference of 2 points with 80 % probability at the 5 % level, by that deviation (paired t test).",
		},
	}
	for _, c := range s.Comparisons() {
		t.Rows = append(t.Rows, c.row())
	}
	return t
}

func (c Comparison) row() []Cell {
	adjusted, verdict := PValue(c.Adjusted), c.verdict()
	if !c.Planned {
		adjusted, verdict = Number(math.NaN(), 0), "exploratory"
	}
	overSeeds, spread := math.NaN(), math.NaN()
	if c.OverSeeds.N > 1 {
		overSeeds, spread = c.OverSeeds.SignFlip, c.OverSeeds.StandardError*math.Sqrt(float64(c.OverSeeds.N))
	}
	return []Cell{Words(c.Adaptation), Words(c.A), Words(c.B), Points(c.Difference), Points(c.Interval.Low), Points(c.Interval.High),
		PValue(c.SignFlip), adjusted, PValue(c.Wilcoxon), PValue(c.Student), Number(c.Effect, 2), Points(c.Dialogues.Low), Points(c.Dialogues.High),
		PValue(overSeeds), Percent(spread), Number(stats.PairsNeeded(spread, 0.02), 0), Count(len(c.Tasks)), Count(c.Seeds), Words(verdict)}
}

func (c Comparison) verdict() string {
	switch {
	case !c.Different():
		return "not distinguishable"
	case c.Difference > 0:
		return "better"
	default:
		return "worse"
	}
}

func spreadTable(results []Result) Table {
	t := Table{
		Key: "spread", Title: "How sure the accuracies are (%)",
		Columns: columns("method|method", "adaptation|adaptation", "accuracy|acc.", "task_sd|sd tasks", "seed_sd|sd seeds",
			"dialogues_low|dialogues low", "dialogues_high|dialogues high", "turn_error|± turns", "above_chance|p by guessing", "best_median|median best", "flatters|best flatters"),
		Notes: []string{
			"dialogues: 95 % interval of a bootstrap that draws whole held-out dialogues inside each task; it knows nothing of other tasks.",
			"± turns: binomial standard error from the number of held-out turns alone. p by guessing: exact, of the seed where it is largest.",
			"best flatters: how many points choosing each unit's best epoch on the turns it is scored on adds.",
			"median best: median over seeds of the mean over tasks, each unit at its best epoch, as the method was first published.",
		},
	}
	for _, r := range results {
		turnError := math.Sqrt(r.Accuracy * (1 - r.Accuracy) / float64(r.Turns))
		t.Rows = append(t.Rows, []Cell{Words(r.Method), Words(r.Adaptation), Percent(r.Accuracy), Percent(stats.StandardDeviation(r.TaskAccuracy)),
			Percent(stats.StandardDeviation(r.SeedAccuracy)), Percent(r.Dialogues.Low), Percent(r.Dialogues.High), Percent(turnError),
			PValue(r.AboveChance), Percent(r.BestMedian), Points(r.Best - r.Accuracy)})
	}
	return t
}

// taskTable has a row a task and two columns a method.
func taskTable(adaptation string, results []Result) Table {
	t := Table{
		Key: "tasks-" + slug(adaptation), Title: "Accuracy by task with " + adaptation + " (%)",
		Columns: columns("task|task", "training_turns|training turns", "held_out_turns|held-out turns"),
		Notes:   []string{"Mean over seeds; ±: standard deviation over seeds, a dash where a task has one."},
	}
	var tasks []string
	for _, r := range results {
		t.Columns = append(t.Columns, Column{r.Method, r.Method}, Column{r.Method + " sd", "±"})
		tasks = append(tasks, r.Tasks...)
	}
	for _, task := range distinct(tasks, func(t string) string { return t }) {
		row := []Cell{Words(task), {}, {}}
		for _, r := range results {
			accuracy, spread := math.NaN(), math.NaN()
			for i, name := range r.Tasks {
				if name == task {
					accuracy, spread = r.TaskAccuracy[i], r.TaskSpread[i]
					row[1], row[2] = Count(r.TaskTraining[i]), Count(r.TaskTurns[i])
				}
			}
			row = append(row, Percent(accuracy), Percent(spread))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (s *Study) retrainingTable() Table {
	t := Table{
		Key: "retraining", Title: "Retraining runs (accuracies in %)",
		Columns: columns("method|method", "seed|seed", "rate_factor|rate x", "steps|steps", "loss|last loss", "epochs|epochs", "accuracy|acc., last", "best|acc., best",
			"best_epoch|kept epoch", "turns|held-out turns"),
		Notes: []string{"Accuracy on held-out turns of the retraining tasks, one row a run. Where a method was tried with several learning rates, adaptation starts from the run of best accuracy here."},
	}
	nan := math.NaN()
	for _, c := range s.Curves {
		factor := c.RateFactor
		if factor == 0 {
			factor = 1
		}
		row := []Cell{Words(c.Method), Number(float64(c.Seed), 0), Number(factor, 1), Count(0), Number(nan, 0), Count(0), Number(nan, 0), Number(nan, 0), Number(nan, 0), Count(0)}
		if n := len(c.Steps); n > 0 {
			row[3], row[4] = Count(c.Steps[n-1]), Number(c.Loss[n-1], 4)
		}
		if n := len(c.Epochs); n > 0 {
			best := c.Epochs[0]
			for _, e := range c.Epochs {
				if e.HeldOut.Accuracy > best.HeldOut.Accuracy {
					best = e
				}
			}
			last := c.Epochs[n-1].HeldOut
			row[5], row[6], row[7], row[8], row[9] = Count(c.Epochs[n-1].Epoch), Percent(last.Accuracy), Percent(best.HeldOut.Accuracy), Count(best.Epoch), Count(last.Turns)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// Units is every finished unit in one row: all that the other tables are made from.
func (s *Study) Units() Table {
	t := Table{Key: "units", Title: "Units", Columns: columns("unit", "method", "adaptation", "seed", "task", "limit", "train_turns", "held_out_turns",
		"parameters", "epochs", "accuracy", "hits5", "mrr", "chance", "correct", "best_accuracy")}
	for _, r := range s.Records {
		m, best := r.last(), r.best().Accuracy
		if r.onlyLast() {
			best = math.NaN()
		}
		t.Rows = append(t.Rows, []Cell{Words(r.Unit), Words(r.Method), Words(r.Adaptation), Number(float64(r.Seed), 0), Words(r.Task), Number(float64(r.Limit), 0),
			Count(r.TrainTurns), Count(m.Turns), Count(r.Parameters), Count(r.lastEpoch()), Number(m.Accuracy, 4), Number(m.Hits5, 4),
			Number(m.MRR, 4), Number(m.Chance, 4), Number(m.Correct, 2), Number(best, 4)})
	}
	return t
}

// slug turns a name into part of a file name.
func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == '-' || r == '_' || r == ' ' || r == '.':
			b.WriteByte('-')
		default:
			fmt.Fprintf(&b, "%x", r)
		}
	}
	return b.String()
}
