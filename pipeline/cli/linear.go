package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"metalora/configs"
	"metalora/pipeline/linear"
)

func (p *program) linear() *cobra.Command {
	var sets []string
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "linear [CONFIG]",
		Short: "Run the paper's linear study: its figures, and its theorems as checked numbers",
		Long: `Linear repeats the linear study of the paper, where tasks are matrices a small step of rank k away from a common one: the
error of fine-tuning against d, T, N, N' and k after standard retraining and after Meta-LoRA, with both readings of the noise. It
then checks the theorems: where both ways of retraining end, what the loss's minima are, and how the error shrinks with k d / n.

Without CONFIG it is the published study (configs/linear.yaml), which takes minutes. Stop it at any time: the same command goes
on with the parts that are not done. The folder also gets event files of every course for TensorBoard.`,
		Example: `  metalora linear
  metalora linear configs/linear-small.yaml --out /tmp/linear
  metalora linear --set runs=20 --set noise=[0.1] --json`,
		Args: takes(1, "CONFIG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := linear.Parse("configs/linear.yaml", configs.Linear, sets)
			if len(args) > 0 {
				c, err = linear.Load(args[0], sets)
			}
			if err != nil {
				return err
			}
			if out == "" {
				out = filepath.Join("runs", c.Name)
			}
			return p.study(cmd.Context(), c, out, asJSON)
		},
	}
	cmd.Flags().StringArrayVar(&sets, "set", nil, "override a value of the configuration, `key=value` (as often as needed)")
	cmd.Flags().StringVar(&out, "out", "", "the study's `folder` (default runs/ and the configuration's name)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the theorems' checks and all tables as one JSON document")
	return cmd
}

// study computes what is not done of a study, writes its report into its folder and shows it.
func (p *program) study(ctx context.Context, c *linear.Config, dir string, asJSON bool) error {
	results, err := linear.Run(ctx, c, dir, func(done, total int, part string) {
		fmt.Fprintf(p.asides(), "%d of %d parts done: %s\n", done, total, part)
	})
	if err != nil {
		return err
	}
	report, err := linear.Report(c, results)
	if err != nil {
		return err
	}
	if err := report.Write(dir); err != nil {
		return err
	}
	if err := linear.WriteBoard(c, results, report, dir); err != nil {
		return err
	}
	if asJSON {
		return p.json(report)
	}
	if err := report.Text(p.out); err != nil {
		return err
	}
	p.printf("\nreport: %s\n", filepath.Join(dir, "index.html"))
	return nil
}
