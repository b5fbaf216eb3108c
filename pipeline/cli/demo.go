package cli

import (
	"github.com/spf13/cobra"

	"metalora/configs"
	"metalora/pipeline"
)

func (p *program) demo() *cobra.Command {
	var x experiment
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole experiment on made-up dialogues, in minutes",
		Long: `Demo makes persona dialogues and a small RoBERTa, retrains it in the conventional way and in the meta way, adapts both
to unseen personas and reports. Nothing is downloaded. The dialogues are made up: the numbers say nothing about people's.`,
		Example: `  metalora demo
  metalora demo --out /tmp/demo --set seeds=[0]`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := pipeline.Parse("configs/demo.yaml", configs.Demo, x.sets)
			if err != nil {
				return err
			}
			e, err := x.place(c)
			if err != nil {
				return err
			}
			return p.execute(cmd.Context(), e, x.only)
		},
	}
	x.flags(cmd)
	return cmd
}
