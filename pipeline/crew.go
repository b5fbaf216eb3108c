package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"metalora/pipeline/fault"
	"metalora/pipeline/train"
)

// Processes are ranks that compute units together, each of them a share of every batch.
type Processes interface {
	train.Ranks
	How() (chunk int, algorithm string) // how gradients add up
}

// Crew is this process among ranks that compute units together. Rank 0 walks the run as a single process does and tells the
// others which unit it begins. They compute that with it and write nothing.
type Crew struct {
	ranks Processes
	lost  bool // this process left a unit otherwise than the others, who wait for it
}

// NewCrew joins the other ranks.
func NewCrew(ranks Processes) *Crew { return &Crew{ranks: ranks} }

// Executor is [NewExecutor] for units that all ranks compute.
func (c *Crew) Executor(config *Config) (Executor, error) {
	ex, err := newExecutor(config)
	if err != nil {
		return nil, err
	}
	ex.crew = c
	return ex, nil
}

// InStep tells whether the other ranks are where this one is. Where they are not, they wait for what never comes, and their
// processes have to be ended.
func (c *Crew) InStep() bool { return !c.lost }

// over is what rank 0 says in place of a unit when it is through.
const over = -1

// Dismiss ends the other ranks' [Crew.Follow]. Only rank 0 may, in step.
func (c *Crew) Dismiss(code int) error {
	_, err := c.ranks.Gather([]float64{over, float64(code)})
	return err
}

// Follow computes what rank 0 begins, unit by unit, and returns the exit code that rank 0 is dismissed with.
func (c *Crew) Follow(ctx context.Context, e *Experiment, ex Executor) (code int, err error) {
	for {
		said, err := c.ranks.Gather([]float64{0, 0})
		if err != nil {
			return 0, err
		}
		place, value := int(said[0][0]), said[0][1]
		if place == over {
			return int(value), nil
		}
		if place >= len(e.Units) || e.Units[place].number() != value {
			return 0, fault.Usage(fmt.Errorf("rank 0 begins another unit than this process has at position %d: the ranks were given other settings, or other files under the same names", place))
		}
		freshMemory()
		if err := ex.Run(ctx, &e.Units[place], "", Quiet{}); !c.InStep() {
			return 0, err
		}
	}
}

// begin tells the other ranks which unit this one begins.
func (c *Crew) begin(u *Unit) error {
	if c == nil || !c.leads() {
		return nil
	}
	_, err := c.ranks.Gather([]float64{float64(u.Index), u.number()})
	return err
}

// ended takes note of how a unit ended. A stop, and numbers that break, are the same on all ranks.
func (c *Crew) ended(ctx context.Context, err error) error {
	if c != nil && err != nil && !train.Asked(ctx, err) && fault.Code(err) != fault.CodeNumbers {
		c.lost = true
	}
	return err
}

// leads tells whether this process writes and shows what it does.
func (c *Crew) leads() bool { return c == nil || c.ranks.Rank() == 0 }

// share is what a training needs of the crew; nil where this process is alone.
func (c *Crew) share() Processes {
	if c == nil {
		return nil
	}
	return c.ranks
}

// number is the unit's hash, 48 bits, as ranks tell it each other.
func (u *Unit) number() float64 {
	_, hash, _ := strings.Cut(u.ID, "-")
	n, _ := strconv.ParseUint(hash, 16, 64)
	return float64(n)
}

// Together says how many processes computed a unit together, and how they added gradients up.
type Together struct {
	Ranks     int    `json:"ranks"`
	Chunk     int    `json:"chunk"` // float32 values in one exchange
	Algorithm string `json:"algorithm"`
}

// together is nil where one process computes alone.
func together(ranks Processes) *Together {
	if ranks == nil {
		return nil
	}
	t := &Together{Ranks: ranks.Size()}
	t.Chunk, t.Algorithm = ranks.How()
	return t
}

// alike refuses ranks whose machines would compute other bits from the same step.
func (e environment) alike(ranks Processes) error {
	if ranks == nil {
		return nil
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	numbers := make([]float64, 8)
	for i := range numbers {
		numbers[i] = float64(sum[i])
	}
	all, err := ranks.Gather(numbers)
	if err != nil {
		return err
	}
	for rank, of := range all {
		for i := range of {
			if of[i] != numbers[i] {
				return fault.Usage(fmt.Errorf("rank %d has another kind of CPU, another library, other kernels or another graph than rank %d (`metalora doctor` shows them): choose machines of one kind", rank, ranks.Rank()))
			}
		}
	}
	return nil
}
