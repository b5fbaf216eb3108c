package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"metalora/pipeline"
	"metalora/pipeline/fault"
)

func (p *program) verify() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Check a run, unit, checkpoint, model or adapter against its manifest",
		Long: `Verify reads every file that a manifest lists and says which are missing, changed or not listed. A run is checked with all
its units and checkpoints. A model or adapter from elsewhere has no manifest: it is read whole, which finds what is malformed,
not a weight that was changed. Exit codes: 0 all is as it was written, 3 something is not.`,
		Example: `  metalora verify runs/convai2
  metalora verify runs/convai2/units/adapt-0123456789ab/adapter --json`,
		Args: takes(0, "DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			problems, err := pipeline.Verify(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				if err := p.json(problems); err != nil {
					return err
				}
			} else {
				p.problems(args[0], problems)
			}
			if len(problems) > 0 {
				return fault.Input(fmt.Errorf("%s: %d file(s) are not as they were written", args[0], len(problems)))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write a list of problems as JSON")
	return cmd
}

func (p *program) problems(dir string, problems []pipeline.Problem) {
	if len(problems) == 0 {
		p.printf("%s: nothing is wrong\n", dir)
	}
	for _, problem := range problems {
		p.printf("%s: %s\n", problem.File, problem.Problem)
	}
}
