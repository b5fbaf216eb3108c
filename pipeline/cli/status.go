package cli

import (
	"github.com/spf13/cobra"

	"metalora/pipeline"
)

func (p *program) status() *cobra.Command {
	var x experiment
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status CONFIG",
		Short: "Say how far an experiment is",
		Long: `Status reads the run's folder: what is done, what runs in some process on this computer, what failed and why. It asks
no batch engine, since the folder is the truth.`,
		Example: `  metalora status configs/convai2.yaml
  metalora status configs/convai2.yaml --json`,
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
			p.summary(e, units)
			return nil
		},
	}
	x.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write a list of units as JSON")
	return cmd
}

// summary counts states, and names the units that run or failed.
func (p *program) summary(e *pipeline.Experiment, units []planned) {
	count := map[string]int{}
	for _, u := range units {
		count[u.State]++
	}
	p.printf("%s: %d units, %d done, %d running, %d failed, %d to do\n", e.Dir, len(units),
		count["done"], count["running"], count["failed"], count["todo"])
	for _, u := range units {
		switch pipeline.State(u.State) {
		case pipeline.Running:
			p.printf("  running  %d  %s\n", u.Index, u.Label)
		case pipeline.Failed:
			p.printf("  failed   %d  %s: %s\n", u.Index, u.Label, u.Error)
		}
	}
}
