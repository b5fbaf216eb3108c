package cli

import "github.com/spf13/cobra"

func (p *program) report() *cobra.Command {
	var x experiment
	cmd := &cobra.Command{
		Use:   "report CONFIG",
		Short: "Rebuild tables, figures and index.html from what is done",
		Long: `Report reads the finished units of a run and writes its report folder anew. Units that are not done are named there, and
no number stands in for them.`,
		Example: `  metalora report configs/convai2.yaml`,
		Args:    takes(0, "CONFIG"),
		RunE: func(_ *cobra.Command, args []string) error {
			e, err := x.open(args[0])
			if err != nil {
				return err
			}
			return p.publish(e)
		},
	}
	x.flags(cmd)
	return cmd
}
