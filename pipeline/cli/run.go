package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"metalora/pipeline"
	"metalora/pipeline/fault"
)

func (p *program) run() *cobra.Command {
	var x experiment
	cmd := &cobra.Command{
		Use:   "run CONFIG",
		Short: "Run an experiment: every unit not yet done, then the report",
		Long: `Run executes the units of an experiment that are not done, in order, and then writes the report. It can be stopped at
any time: the same command keeps finished units and goes on with the one under way from its last checkpoint, to the
same bits as if it had never stopped. More seeds, methods or tasks extend a run; a change of what finished units share
is refused.`,
		Example: `  metalora run configs/convai2.yaml --set model.path=models/roberta-base
  metalora run configs/convai2.yaml --set seeds=[0] --only 'adapt sr*' --out runs/first`,
		Args: takes(0, "CONFIG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.together(cmd.Context(), func() (*pipeline.Experiment, error) { return x.open(args[0]) }, func(e *pipeline.Experiment) error {
				return p.execute(cmd.Context(), e, x.only)
			})
		},
	}
	x.flags(cmd)
	return cmd
}

// execute runs what is not done and reports on what is.
func (p *program) execute(ctx context.Context, e *pipeline.Experiment, only []string) error {
	pending, err := e.Pending(only)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		fmt.Fprintf(p.asides(), "%d of %d units to do in %s\n", len(pending), len(e.Units), e.Dir)
		ex, err := p.executor(e.Config)
		if err != nil {
			return err
		}
		err = e.Run(ctx, ex, only, p.progress())
		if err != nil && fault.Code(err) != fault.CodeNumbers {
			return err
		}
		return errors.Join(err, p.publish(e))
	}
	return p.publish(e)
}

// publish writes the report of what is done and shows its tables.
func (p *program) publish(e *pipeline.Experiment) error {
	study, err := pipeline.Report(e)
	if err != nil {
		return err
	}
	if err := study.WriteReport(e.ReportDir()); err != nil {
		return err
	}
	if err := e.WriteBoard(study); err != nil {
		return err
	}
	if err := study.Text(p.out); err != nil {
		return err
	}
	p.printf("\nreport: %s\n", filepath.Join(e.ReportDir(), "index.html"))
	return nil
}
