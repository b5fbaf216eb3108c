package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
)

// Profile is where a turn's time goes: means over the turns measured, in seconds.
type Profile struct {
	Case      string  `json:"case"`
	Turn      float64 `json:"turn_s"`   // all of it
	Engine    float64 `json:"engine_s"` // of it, inside the engine's runs
	Step      float64 `json:"step_s"`   // a step of the optimiser, one every 8 turns
	Runs      int     `json:"runs"`     // of the engine, that a turn is parted into
	Operators []Group `json:"operators"`
	Parts     []Group `json:"parts"` // of the model, forward and backward apart
}

// profile runs a case under the engine's profiler for some turns after one that lays out memory.
func (c Case) profile(ctx context.Context, turns int) (*Profile, error) {
	dir, err := os.MkdirTemp("", "profile")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c.Profile = filepath.Join(dir, "run")
	s, err := c.prepare(ctx)
	if err != nil {
		return nil, err
	}
	p := &Profile{Case: c.Name}
	for i := range turns + 1 {
		took, step, err := s.timed()
		if err != nil {
			s.close()
			return nil, err
		}
		if i > 0 {
			p.Turn += took / float64(turns)
			p.Step += step / float64(turns)
		}
	}
	s.close() // writes the file
	files, err := filepath.Glob(c.Profile + "*.json")
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("the engine left %d profiles (%v)", len(files), err)
	}
	return p, p.read(files[0], turns, c.Rank, s.graph)
}

// timed is the seconds of a turn and of a step of the optimiser.
func (s *step) timed() (turn, update float64, err error) {
	if turn, err = timed(s.turn); err != nil || s.update == nil {
		return turn, 0, err
	}
	update, err = timed(s.update)
	return turn, update, err
}

// ProfileCase says where the time of a case's turns goes.
func ProfileCase(ctx context.Context, c Case, turns int) (*Profile, error) {
	p, err := c.profile(ctx, turns)
	if err != nil {
		return nil, fmt.Errorf("profiling %s: %w", c.Name, err)
	}
	return p, nil
}

// Write prints the profile as Markdown. Operators below a hundredth of the engine's time are summed up.
func (p *Profile) Write(w io.Writer) error {
	fmt.Fprintf(w, "### %s\n\n", p.Case)
	fmt.Fprintf(w, "A turn takes %.0f ms, %.0f of them in %d runs of the engine; a step of the optimiser, every %d turns, %.0f ms.\n\n",
		1e3*p.Turn, 1e3*p.Engine, p.Runs, turnsPerStep, 1e3*p.Step)
	if err := writeGroups(w, "operator", p.Operators, p.Engine); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return writeGroups(w, "part", p.Parts, p.Engine)
}

func writeGroups(w io.Writer, kind string, groups []Group, total float64) error {
	out := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintf(out, "| %s\t| ms\t| share\t| calls\t| GFLOP/s\t| GB/s\t|\n|---\t|---\t|---\t|---\t|---\t|---\t|\n", kind)
	rest := Group{Name: "others"}
	for _, g := range groups {
		if g.Seconds < total/100 {
			rest.add(g)
			continue
		}
		g.write(out, total)
	}
	if rest.Calls > 0 {
		rest.write(out, total)
	}
	return out.Flush()
}

func (g Group) write(w io.Writer, total float64) {
	rate := "" // of products; what else an operator computes is not counted
	if g.Flops > 0 {
		rate = fmt.Sprintf("%.0f", g.Flops/g.Seconds/1e9)
	}
	fmt.Fprintf(w, "| %s\t| %.1f\t| %.1f %%\t| %.0f\t| %s\t| %.1f\t|\n", g.Name, 1e3*g.Seconds, 100*g.Seconds/total, g.Calls, rate, g.Bytes/g.Seconds/1e9)
}
