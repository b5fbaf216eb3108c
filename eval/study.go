package eval

import (
	"fmt"
	"math"
)

// Epoch is the state after one pass over the training turns; Epoch 0 is before the first. Loss is the mean over the pass.
type Epoch struct {
	Epoch   int     `json:"epoch"`
	Loss    float64 `json:"loss"`
	HeldOut Metrics `json:"held_out"`
}

// Record is one finished unit of adaptation: a method's model, adapted to one task in one way under one seed. Records that share
// all four are folds of the same cell and are pooled turn by turn; their turns must differ.
type Record struct {
	Unit         string      `json:"unit"`
	Method       string      `json:"method"`
	Adaptation   string      `json:"adaptation"`
	Seed         int         `json:"seed"`
	Task         string      `json:"task"`
	TrainTurns   int         `json:"train_turns"`
	HeldOutTurns int         `json:"held_out_turns"`
	Parameters   int         `json:"parameters"` // trained in the adaptation
	Epochs       []Epoch     `json:"epochs"`     // in order
	Turns        []TurnScore `json:"turns"`      // of the last epoch
	Seconds      float64     `json:"seconds"`
	PeakBytes    int64       `json:"peak_bytes"` // of the process, 0 where unknown

	// Limit is how many training turns it might take at most: a point of a learning curve; 0: all. Only records without a
	// limit are in tables and comparisons.
	Limit int `json:"limit"`
	Fold  int `json:"fold"`
}

// Curve is one retraining: loss at steps, and held-out metrics of the retraining tasks by epoch.
type Curve struct {
	Unit   string    `json:"unit"`
	Method string    `json:"method"`
	Seed   int       `json:"seed"`
	Steps  []int     `json:"steps"`
	Loss   []float64 `json:"loss"` // as many as Steps
	Epochs []Epoch   `json:"epochs"`

	Parameters int     `json:"parameters"`  // trained, every task's own included
	Kept       int     `json:"kept"`        // the epoch whose weights were kept
	RateFactor float64 `json:"rate_factor"` // of the learning rates; 0 is 1
	Seconds    float64 `json:"seconds"`
	PeakBytes  int64   `json:"peak_bytes"` // of the process, 0 where unknown
}

// Place is where a number stands in a study.
type Place struct {
	Method, Adaptation, Task string
	Seed, Limit              int
}

// Example is a held-out turn that one of two methods gets and the other misses, under every seed.
type Example struct {
	Gets, Misses, Adaptation string // the two methods, and how both were adapted
	Task                     string
	Fold, Dialogue, Turn     int
	Chosen                   int // the candidate that Misses chose under the first seed

	Context, Reply, Instead string // what was said before, what came, what Misses chose; filled in by who has the dialogues
}

// Study is everything a report is made of. Methods, adaptations and tasks are shown in the order in which they first occur.
type Study struct {
	Title         string      `json:"title"`
	Synthetic     bool        `json:"synthetic"` // the dialogues are made up: said wherever a number shows
	Question      string      `json:"question"`
	Facts         [][2]string `json:"facts"`         // what was run on what, and what was selected on what: name, value
	Configuration string      `json:"configuration"` // YAML
	Command       string      `json:"command"`
	Records       []Record    `json:"records"`
	Curves        []Curve     `json:"curves"`
	Missing       []string    `json:"missing"` // units not done: listed, never averaged
	Open          []Place     `json:"open"`    // where those of adaptation belong: a mean that lacks one is not shown
	Meta          []string    `json:"meta"`    // the methods that are meta-retraining: the question is about them
	Examples      []Example   `json:"examples"`
	Notes         []string    `json:"notes"`
	Footer        []string    `json:"footer"` // all that may differ between equal runs: times, host, versions

	// Baseline is the method that the others are compared with; "" is the first.
	Baseline string `json:"baseline"`
}

// Check says what makes a study unfit for a report, by unit: a record without held-out metrics, scores that are NaN, metrics
// that its turns do not bear out, or a turn that two units of one cell scored.
func (s *Study) Check() error {
	type turn struct {
		cell           Place
		dialogue, turn int
	}
	seen := map[turn]string{}
	for _, r := range s.Records {
		if err := r.Check(); err != nil {
			return fmt.Errorf("checking unit %s: %w", r.Unit, err)
		}
		for _, t := range r.Turns {
			key := turn{r.key(), t.Dialogue, t.Turn}
			if other, twice := seen[key]; twice {
				return fmt.Errorf("checking unit %s: dialogue %d, turn %d was scored by unit %s too", r.Unit, t.Dialogue, t.Turn, other)
			}
			seen[key] = r.Unit
		}
	}
	for _, c := range s.Curves {
		if len(c.Steps) != len(c.Loss) {
			return fmt.Errorf("checking unit %s: %d steps, %d losses", c.Unit, len(c.Steps), len(c.Loss))
		}
	}
	return s.checkBaseline()
}

func (s *Study) checkBaseline() error {
	if s.Baseline == "" || len(s.Records) == 0 {
		return nil
	}
	for _, r := range s.Records {
		if r.Method == s.Baseline {
			return nil
		}
	}
	if len(s.Missing) > 0 {
		return nil // its units are among the missing
	}
	return fmt.Errorf("checking study: baseline %q has no records", s.Baseline)
}

// Check says what makes a record unfit for a report: no metrics, metrics or scores that cannot be, or metrics that the turns do not bear out.
func (r Record) Check() error {
	if len(r.Epochs) == 0 && len(r.Turns) == 0 {
		return fmt.Errorf("neither epochs nor scored turns")
	}
	if err := CheckScores(r.Turns); err != nil {
		return err
	}
	for _, e := range r.Epochs {
		if err := e.HeldOut.Check(); err != nil {
			return fmt.Errorf("epoch %d: %w", e.Epoch, err)
		}
	}
	if len(r.Epochs) > 0 && len(r.Turns) > 0 {
		last, again := r.Epochs[len(r.Epochs)-1], Measure(r.Turns)
		if last.HeldOut.Turns != again.Turns || math.Abs(last.HeldOut.Accuracy-again.Accuracy) > 1e-9 {
			return fmt.Errorf("epoch %d: accuracy %v of %d turns, but its scores give %v of %d",
				last.Epoch, last.HeldOut.Accuracy, last.HeldOut.Turns, again.Accuracy, again.Turns)
		}
	}
	return nil
}

// last is the metrics that lead: of the scored turns, else of the last epoch.
func (r Record) last() Metrics {
	if len(r.Turns) > 0 || len(r.Epochs) == 0 {
		return Measure(r.Turns)
	}
	return r.Epochs[len(r.Epochs)-1].HeldOut
}

// best is the metrics of the epoch of highest accuracy, the first of equals.
func (r Record) best() Metrics {
	best := r.last()
	for i, e := range r.Epochs {
		if i == 0 || e.HeldOut.Accuracy > best.Accuracy {
			best = e.HeldOut
		}
	}
	return best
}

// onlyLast says that several epochs were trained and the last alone was scored.
func (r Record) onlyLast() bool { return len(r.Epochs) == 1 && r.lastEpoch() > 1 }

// lastEpoch is the number of the last epoch, 0 where nothing was trained.
func (r Record) lastEpoch() int {
	if len(r.Epochs) == 0 {
		return 0
	}
	return r.Epochs[len(r.Epochs)-1].Epoch
}
