package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"metalora/pipeline/batch"
	"metalora/pipeline/fault"
)

func (p *program) submit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "submit",
		Short: "Hand the units of an experiment that are not done to a batch engine",
		Long: `Submit sends what is missing to a cluster, each unit by its position in the plan. The run's folder has to be seen by all
machines; 'metalora status' reads it, whatever the engine says. Sending again sends what is missing then.`,
		Example: `  metalora submit slurm configs/convai2.yaml --dry-run
  metalora submit slurm configs/convai2.yaml --cpus 8 --sbatch=--time=8:00:00
  metalora submit kubernetes configs/convai2.yaml --image registry.example/metalora:1 --dry-run`,
	}
	cmd.AddCommand(p.submitSlurm(), p.submitKubernetes())
	return chooser(cmd, needsVerb)
}

func (p *program) submitSlurm() *cobra.Command {
	var x experiment
	var s batch.Slurm
	var dry, again, asJSON bool
	cmd := &cobra.Command{
		Use:   "slurm CONFIG",
		Short: "Send the missing units to Slurm as array jobs",
		Long: `Slurm gets one array of all retrainings that are not done, and for each of them an array of its adaptations, which starts when
that retraining is done and is cancelled if it fails. A unit is told by SIGUSR1 before its time is up to save its work: it ends with
exit code 75 and goes on from there when it is started again (by RequeueExit=75 of the cluster, or by submit). Jobs run in the
present working directory, with a copy of the configuration that is kept in the run's folder with their logs.`,
		Example: `  metalora submit slurm configs/convai2.yaml --dry-run
  metalora submit slurm configs/convai2.yaml --cpus 8 --parallel 20 --sbatch=--partition=long --sbatch=--time=8:00:00`,
		Args: takes(0, "CONFIG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.CPUs < 0 || s.Parallel < 0 || s.Grace < 1 {
				return fault.Usage(fmt.Errorf("--cpus %d, --parallel %d, --grace %d: the first two are 0 or more, the last is a number of seconds", s.CPUs, s.Parallel, s.Grace))
			}
			e, err := x.open(args[0])
			if err != nil {
				return err
			}
			pending, err := e.Pending(x.only)
			if err != nil {
				return err
			}
			if len(pending) == 0 {
				return p.nothingToSubmit(dry, asJSON)
			}
			arrays := batch.Arrays(batch.Groups(pending))
			if s.Program, err = os.Executable(); err != nil {
				return fmt.Errorf("finding this program's path: %w", err)
			}
			if s.Dir, err = os.Getwd(); err != nil {
				return fmt.Errorf("finding the working directory: %w", err)
			}
			if dry {
				return s.Print(p.out, e, arrays)
			}
			if err := s.Submit(cmd.Context(), e, arrays, again); err != nil {
				return fmt.Errorf("submitting: %w", err)
			}
			if asJSON {
				return p.json(arrays)
			}
			return p.submitted(arrays)
		},
	}
	x.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&dry, "dry-run", false, "print the scripts and send nothing")
	f.BoolVar(&again, "again", false, "submit although jobs of this run wait or run")
	f.IntVar(&s.CPUs, "cpus", 0, "CPUs, and threads, of each unit (default: what the cluster gives)")
	f.IntVar(&s.Parallel, "parallel", 0, "most units of an array at a time (default: no limit)")
	f.IntVar(&s.Grace, "grace", 120, "`seconds` before the time limit at which a unit saves its work")
	f.StringArrayVar(&s.Options, "sbatch", nil, "a further `option` of sbatch, as often as needed: --sbatch=--time=8:00:00")
	f.BoolVar(&asJSON, "json", false, "write the jobs as JSON: kind, units, job")
	return cmd
}

// nothingToSubmit says so: beside the output where scripts, manifests or JSON would stand.
func (p *program) nothingToSubmit(dry, asJSON bool) error {
	const nothing = "all units are done: nothing to submit"
	switch {
	case dry:
		p.notes([]string{nothing})
	case asJSON:
		return p.json([]batch.Array{})
	default:
		p.printf(nothing + "\n")
	}
	return nil
}

func (p *program) submitted(arrays []batch.Array) error {
	rows := [][]string{{"JOB", "KIND", "UNITS"}}
	for _, a := range arrays {
		rows = append(rows, []string{a.Job, string(a.Kind), batch.Ranges(a.Units)})
	}
	return p.table(rows...)
}
