package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"metalora/pipeline"
	"metalora/pipeline/fault"
)

// planned is a unit as programs read it.
type planned struct {
	Index   int      `json:"index"`
	ID      string   `json:"id"`
	Kind    string   `json:"kind"`
	Label   string   `json:"label"`
	Needs   []string `json:"needs"`
	State   string   `json:"state"`
	Seconds *float64 `json:"seconds"` // of a finished unit: taken; of another: estimated; null where nothing is known
	Bytes   *int64   `json:"bytes"`   // memory at the peak, likewise
	Error   string   `json:"error,omitempty"`
}

func (p *program) plan() *cobra.Command {
	var x experiment
	var asJSON bool
	var machines []int
	cmd := &cobra.Command{
		Use:   "plan CONFIG",
		Short: "List the units of an experiment without running them",
		Long: `Plan lists every unit with its position, its state and an estimate of its time and memory. Positions depend on the
configuration alone; an array job runs unit N with 'metalora unit CONFIG --index N'.

Times of units that are not done come from finished units of the same kind in the run's folder; as long as there is
none, they are not known. Memory is counted from the model's graph, its weights and the length of turns.`,
		Example: `  metalora plan configs/convai2.yaml
  metalora plan configs/convai2.yaml --json --only 'retrain*'`,
		Args: takes(0, "CONFIG"),
		RunE: func(_ *cobra.Command, args []string) error {
			e, err := x.open(args[0])
			if err != nil {
				return err
			}
			units, err := list(e, x.only)
			if err != nil {
				return err
			}
			if asJSON {
				return p.json(units)
			}
			if err := p.planTable(e, units); err != nil {
				return err
			}
			return p.makespans(e, machines)
		},
	}
	x.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write a list of units as JSON")
	cmd.Flags().IntSliceVar(&machines, "machines", nil, "also estimate how long all units take on so many machines: 10,100,1000")
	return cmd
}

// makespans simulates the run on many machines.
func (p *program) makespans(e *pipeline.Experiment, machines []int) error {
	if len(machines) == 0 {
		return nil
	}
	states, err := e.States()
	if err != nil {
		return err
	}
	estimates := e.Estimate(states)
	for _, n := range machines {
		if n < 1 {
			return fault.Usage(fmt.Errorf("--machines %d: a number of machines is at least 1", n))
		}
		text := "not known: run one unit of each kind first"
		if seconds := e.Makespan(states, estimates, n); seconds > 0 || !slices.Contains(states, pipeline.Todo) {
			text = duration(&seconds)
		}
		p.printf("on %d machines: %s\n", n, text)
	}
	return nil
}

// list describes the chosen units.
func list(e *pipeline.Experiment, only []string) ([]planned, error) {
	chosen, err := pipeline.Select(e.Units, only)
	if err != nil {
		return nil, err
	}
	states, err := e.States()
	if err != nil {
		return nil, err
	}
	estimates := e.Estimate(states)
	units := []planned{}
	for i, u := range e.Units {
		if !chosen[i] {
			continue
		}
		entry := planned{Index: u.Index, ID: u.ID, Kind: string(u.Kind), Label: u.Label, Needs: append([]string{}, u.Needs...), State: string(states[i])}
		if s := estimates[i].Seconds; s > 0 {
			entry.Seconds = &s
		}
		if b := estimates[i].Bytes; b > 0 {
			entry.Bytes = &b
		}
		if f := e.Failure(&u); states[i] == pipeline.Failed && f != nil {
			entry.Error = f.Error
		}
		units = append(units, entry)
	}
	return units, nil
}

func (p *program) planTable(e *pipeline.Experiment, units []planned) error {
	rows := [][]string{{"INDEX", "ID", "STATE", "TIME", "MEMORY", "UNIT"}}
	left, known := 0.0, true
	for _, u := range units {
		rows = append(rows, []string{fmt.Sprint(u.Index), u.ID, u.State, duration(u.Seconds), size(u.Bytes), u.Label})
		if u.State == string(pipeline.Done) {
			continue
		}
		known = known && u.Seconds != nil
		if u.Seconds != nil {
			left += *u.Seconds
		}
	}
	if err := p.table(rows...); err != nil {
		return err
	}
	estimate := "left: about " + duration(&left)
	if !known {
		estimate = "the time that is left is not known"
	}
	p.printf("\n%d units in %s; %s\n", len(units), e.Dir, estimate)
	return nil
}

// duration writes seconds for people.
func duration(seconds *float64) string {
	if seconds == nil {
		return "?"
	}
	d := time.Duration(*seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// size writes bytes for people.
func size(bytes *int64) string {
	switch {
	case bytes == nil:
		return "?"
	case *bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(*bytes)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(*bytes)/(1<<20))
}
