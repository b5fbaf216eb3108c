package cli

import (
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"metalora/pipeline"
	"metalora/pipeline/batch"
	"metalora/pipeline/fault"
)

// positions are the environment variables in which engines say which position of an array job this is.
var positions = []string{"SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"}

func (p *program) unit() *cobra.Command {
	var x experiment
	var index int
	var among string
	cmd := &cobra.Command{
		Use:   "unit CONFIG",
		Short: "Run one unit of an experiment by its position: what an array job calls",
		Long: `Unit runs the unit at one position of the plan. A unit that is done ends with success at once, so jobs can be sent again
without care. What the unit needs has to be done before. Exit codes: 0 done, 2 and 3 cannot succeed, 75 stopped on
request, others: try again.`,
		Example: `  metalora unit configs/convai2.yaml --index 7
  sbatch --array=0-14 --wrap 'exec metalora unit configs/convai2.yaml'`,
		Args: takes(0, "CONFIG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("index") {
				var err error
				if index, err = position(); err != nil {
					return err
				}
			}
			if among != "" {
				var err error
				if index, err = nth(among, index); err != nil {
					return err
				}
			}
			return p.together(cmd.Context(), func() (*pipeline.Experiment, error) { return x.open(args[0]) }, func(e *pipeline.Experiment) error {
				return p.single(cmd, e, x.only, index)
			})
		},
	}
	x.flags(cmd)
	cmd.Flags().IntVar(&index, "index", 0, "`position` of the unit in the plan, from 0 (default: $SLURM_ARRAY_TASK_ID or $JOB_COMPLETION_INDEX)")
	cmd.Flags().StringVar(&among, "among", "", "count the position in this `list` of positions: 3 among 0,4-7 is 6")
	return cmd
}

// position is the index that the engine gave.
func position() (int, error) {
	for _, name := range positions {
		text, ok := os.LookupEnv(name)
		if !ok {
			continue
		}
		index, err := strconv.Atoi(text)
		if err != nil {
			return 0, fault.Usage(fmt.Errorf("%s is %q, no position", name, text))
		}
		return index, nil
	}
	return 0, fault.Usage(fmt.Errorf("which unit? give --index, or set %s or %s", positions[0], positions[1]))
}

// nth is a position by its place in a list of positions.
func nth(list string, n int) (int, error) {
	positions, err := batch.ParseRanges(list)
	if err != nil {
		return 0, err
	}
	if n < 0 || n >= len(positions) {
		return 0, fault.Usage(fmt.Errorf("there is no number %d among %s: they are 0 to %d", n, list, len(positions)-1))
	}
	return positions[n], nil
}

func (p *program) single(cmd *cobra.Command, e *pipeline.Experiment, only []string, index int) error {
	if index < 0 || index >= len(e.Units) {
		return fault.Usage(fmt.Errorf("there is no unit %d: the plan has positions 0 to %d", index, len(e.Units)-1))
	}
	chosen, err := pipeline.Select(e.Units, only)
	if err != nil {
		return err
	}
	u := &e.Units[index]
	state, err := e.State(u)
	if err != nil {
		return err
	}
	if state == pipeline.Done || !chosen[index] {
		fmt.Fprintf(p.asides(), "nothing to do: unit %d (%s) is %s\n", index, u.Label, map[bool]string{true: "done", false: "not among --only"}[chosen[index]])
		return nil
	}
	ex, err := p.executor(e.Config)
	if err != nil {
		return err
	}
	return e.RunUnit(cmd.Context(), ex, u, p.progress())
}
