package eval

import (
	"math"

	"metalora/eval/stats"
	"metalora/pipeline/rng"
)

// resamples of the dialogue bootstrap: the ends of a 95 % interval are known to about a twentieth of its width.
const resamples = 2000

// Result is what a method reached under one adaptation. Shares and errors are parts of one; a spread that needs more tasks or
// seeds than there are is NaN.
type Result struct {
	Method, Adaptation string
	Tasks              []string
	Seeds              []int
	Cells, Expected    int // (task, seed) pairs done, and those that other results of the study have

	Accuracy  float64        // last epoch: mean over tasks of means over seeds
	TaskError float64        // its standard error over tasks
	SeedError float64        // its standard error over seeds
	Interval  stats.Interval // 95 %, Student's t over tasks, cut at 0 and 1
	Dialogues stats.Interval // 95 %, bootstrap of whole held-out dialogues inside each task
	Hits5     float64
	MRR       float64
	Chance    float64

	Best       float64 // each unit at its best epoch, chosen on the very turns it is scored on: flatters
	BestMedian float64 // median over seeds of the mean over tasks of the same: as first published

	AboveChance float64 // p of at least as many right turns by guessing; of the seed with the largest p

	TaskAccuracy []float64 // mean over seeds, as Tasks
	TaskSpread   []float64 // standard deviation over seeds, as Tasks
	SeedAccuracy []float64 // mean over tasks, of each seed that has them all
	TaskTurns    []int     // held-out turns, as Tasks
	TaskTraining []int     // training turns, as Tasks

	Turns      int // held-out turns of all tasks together, under one seed
	Parameters [2]int
	Epochs     [2]int // smallest and largest number of the last epoch
	Seconds    float64
}

// Complete says whether no cell that another result has is missing here.
func (r Result) Complete() bool { return r.Cells == r.Expected }

// Results has one Result for each method and adaptation that has records, adaptation by adaptation.
func (s *Study) Results() []Result {
	cells := s.cells()
	tasks, seeds := s.extent()
	var results []Result
	for _, adaptation := range distinct(cells, adaptationOf) {
		for _, method := range distinct(cells, methodOf) {
			of := where(cells, func(c cell) bool { return c.Method == method && c.Adaptation == adaptation })
			if len(of) > 0 {
				r := summarise(of)
				r.Method, r.Adaptation, r.Expected = method, adaptation, len(tasks)*len(seeds)
				if !r.Complete() {
					r.withhold(of, len(seeds))
				}
				results = append(results, r)
			}
		}
	}
	return results
}

// extent is the tasks and seeds that every method and adaptation is to have.
func (s *Study) extent() (tasks []string, seeds []int) {
	places := s.Open
	for _, r := range s.Records {
		places = append(places, r.key())
	}
	places = where(places, func(p Place) bool { return p.Limit == 0 })
	return distinct(places, func(p Place) string { return p.Task }), distinct(places, func(p Place) int { return p.Seed })
}

// withhold takes the means of an incomplete result away: over other tasks or seeds they would be other means. A task that
// has all its seeds keeps its own.
func (r *Result) withhold(cells []cell, seeds int) {
	nan := math.NaN()
	none := stats.Interval{Low: nan, High: nan}
	r.Accuracy, r.TaskError, r.SeedError, r.Hits5, r.MRR, r.Best, r.BestMedian, r.AboveChance = nan, nan, nan, nan, nan, nan, nan, nan
	r.Interval, r.Dialogues, r.SeedAccuracy = none, none, nil
	for i, task := range r.Tasks {
		if len(where(cells, func(c cell) bool { return c.Task == task })) < seeds {
			r.TaskAccuracy[i], r.TaskSpread[i] = nan, nan
		}
	}
}

func summarise(cells []cell) Result {
	tasks := distinct(cells, taskOf)
	r := Result{Tasks: tasks, Seeds: seedsOf(cells), Cells: len(cells)}
	r.TaskAccuracy = taskMeans(cells, tasks, accuracy)
	r.SeedAccuracy = seedMeans(cells, tasks, accuracy)
	r.Accuracy = stats.Mean(r.TaskAccuracy)
	r.TaskError, r.SeedError = stats.StandardError(r.TaskAccuracy), stats.StandardError(r.SeedAccuracy)
	r.Interval = stats.MeanInterval(r.TaskAccuracy, 0.95)
	if r.Interval.Low < 0 || r.Interval.High > 1 { // no accuracy lies there; few tasks give such intervals
		r.Interval = stats.Interval{Low: max(0, r.Interval.Low), High: min(1, r.Interval.High)}
	}
	r.Hits5 = stats.Mean(taskMeans(cells, tasks, func(c cell) float64 { return c.Last.Hits5 }))
	r.MRR = stats.Mean(taskMeans(cells, tasks, func(c cell) float64 { return c.Last.MRR }))
	r.Chance = stats.Mean(taskMeans(cells, tasks, func(c cell) float64 { return c.Last.Chance }))
	r.Best = stats.Mean(taskMeans(cells, tasks, bestAccuracy))
	r.BestMedian = stats.Median(seedMeans(cells, tasks, bestAccuracy))
	r.AboveChance = aboveChance(cells)
	r.Dialogues = stats.Bootstrap(dialogues(cells, tasks), 0.95, resamples, rng.New(0, "eval", "bootstrap"))
	for _, task := range tasks {
		of := where(cells, func(c cell) bool { return c.Task == task })
		r.TaskSpread = append(r.TaskSpread, stats.StandardDeviation(numbers(of, accuracy)))
		r.TaskTurns = append(r.TaskTurns, of[0].Last.Turns)
		r.TaskTraining = append(r.TaskTraining, of[0].Records[0].TrainTurns)
		r.Turns += of[0].Last.Turns
	}
	r.count(cells)
	return r
}

// count fills in what is counted over records: parameters, epochs, seconds.
func (r *Result) count(cells []cell) {
	first := true
	for _, c := range cells {
		for _, record := range c.Records {
			epochs := record.lastEpoch()
			if first {
				r.Parameters, r.Epochs, first = [2]int{record.Parameters, record.Parameters}, [2]int{epochs, epochs}, false
			}
			r.Parameters = widen(r.Parameters, record.Parameters)
			r.Epochs = widen(r.Epochs, epochs)
			r.Seconds += record.Seconds
		}
	}
}

func widen(span [2]int, v int) [2]int { return [2]int{min(span[0], v), max(span[1], v)} }

// aboveChance tests one seed after the other, since seeds see the same turns and do not add evidence as new turns would, and
// keeps the least convincing p. Half-right turns (ties) are rounded down. NaN where no turn's scores are known.
func aboveChance(cells []cell) float64 {
	worst := math.NaN()
	for _, seed := range seedsOf(cells) {
		correct, guess := 0.0, []float64(nil)
		for _, c := range cells {
			if c.Seed != seed {
				continue
			}
			for _, record := range c.Records {
				correct += Measure(record.Turns).Correct
				for _, t := range record.Turns {
					guess = append(guess, 1/float64(max(1, len(t.Scores))))
				}
			}
		}
		if len(guess) > 0 {
			// The nudge undoes rounding in sums of parts of turns, so that three thirds count as one.
			p := stats.PoissonBinomialTail(int(math.Floor(correct+1e-9)), guess)
			worst = math.Max(p, zeroIfNaN(worst))
		}
	}
	return worst
}

func zeroIfNaN(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// dialogues gathers for each task the held-out dialogues with their right turns, each seed weighing alike. A dialogue keeps its
// seeds together, as they are no independent evidence.
func dialogues(cells []cell, tasks []string) [][]stats.Cluster {
	strata := make([][]stats.Cluster, len(tasks))
	for i, task := range tasks {
		ids, right := rightByDialogue(cells, task)
		for _, id := range ids {
			strata[i] = append(strata[i], right[id])
		}
	}
	return strata
}

// rightByDialogue counts a task's right turns by held-out dialogue, in the order of first occurrence.
func rightByDialogue(cells []cell, task string) (ids []int, right map[int]stats.Cluster) {
	right = map[int]stats.Cluster{}
	for _, c := range cells {
		if c.Task != task {
			continue
		}
		for _, record := range c.Records {
			for _, t := range record.Turns {
				d, known := right[t.Dialogue]
				if !known {
					ids = append(ids, t.Dialogue)
				}
				first, _, _ := t.rank()
				right[t.Dialogue] = stats.Cluster{Correct: d.Correct + first, Turns: d.Turns + 1}
			}
		}
	}
	return ids, right
}
