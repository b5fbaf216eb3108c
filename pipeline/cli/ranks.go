package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"metalora/pipeline"
	"metalora/pipeline/fault"
	"metalora/pipeline/mpi"
)

// ranks is this process among those that mpirun started; its zero value is a process that has not looked for others.
type ranks struct {
	world *mpi.World
	crew  *pipeline.Crew // nil where the process is alone
	// dismissed says that rank 0 is through and how it ended.
	dismissed bool
	code      int
}

// join finds the other ranks.
func (r *ranks) join() (err error) {
	if r.world, err = mpi.Start(); err != nil {
		return fault.Usage(err)
	}
	if r.world.Size() > 1 {
		r.crew = pipeline.NewCrew(r.world)
	}
	return nil
}

// together runs a verb of an experiment on all ranks: rank 0 does what lead says, and the others compute with it the units that
// it begins.
func (p *program) together(ctx context.Context, open func() (*pipeline.Experiment, error), lead func(*pipeline.Experiment) error) error {
	if err := p.ranks.join(); err != nil {
		return err
	}
	e, err := open()
	if err != nil {
		return err
	}
	if p.ranks.world.Rank() == 0 {
		return lead(e)
	}
	ex, err := p.executor(e.Config)
	if err != nil {
		return err
	}
	p.ranks.code, err = p.ranks.crew.Follow(ctx, e, ex)
	p.ranks.dismissed = err == nil
	return err
}

// executor computes units, with the other ranks where there are any.
func (p *program) executor(c *pipeline.Config) (pipeline.Executor, error) {
	if p.ranks.crew != nil {
		return p.ranks.crew.Executor(c)
	}
	return pipeline.NewExecutor(c)
}

// leave ends this process's part among the ranks, all of which end with one code. What fails on one rank alone leaves the
// others waiting, so it ends them.
func (r *ranks) leave(code int) (int, error) {
	switch {
	case r.world == nil:
		return code, nil
	case r.crew == nil:
	case r.dismissed:
		code = r.code
	case r.world.Rank() > 0 || !r.crew.InStep():
		r.world.Abort(code)
	default:
		if err := r.crew.Dismiss(code); err != nil {
			return code, err
		}
	}
	return code, r.world.End()
}

// name stands before what a rank says.
func (r *ranks) name() string {
	if r.crew == nil {
		return "metalora:"
	}
	return fmt.Sprintf("metalora, rank %d of %d:", r.world.Rank(), r.world.Size())
}

// alone refuses a verb that several processes would each do on their own.
func alone(verb *cobra.Command) error {
	if n := mpi.Launched(); n > 1 && !slices.Contains([]string{"run", "unit"}, verb.Name()) {
		return fault.Usage(fmt.Errorf("%d processes were started together, and only run and unit share their work: start %s once", n, verb.CommandPath()))
	}
	return nil
}
