package batch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"metalora/pipeline"
	"metalora/pipeline/fault"
)

// Slurm says how the units of an experiment become array jobs.
type Slurm struct {
	Program  string   // metalora's path on the nodes
	Dir      string   // working directory of the jobs: relative paths of the configuration count from it
	CPUs     int      // of each unit; 0: the cluster's default, and as many threads as the configuration says
	Parallel int      // units at a time in one array; 0: as many as the cluster gives
	Grace    int      // seconds before the time limit at which a unit is told to save its work
	Options  []string // further options of sbatch: "--partition=long", "--time=8:00:00"
}

// MaxTasks is how many tasks an array gets: Slurm's own limit, unless an administrator changed it, is a highest index of 1000.
const MaxTasks = 1000

// Array is an array job.
type Array struct {
	Kind  pipeline.Kind `json:"kind"`
	Units []int         `json:"units"` // positions in the plan
	Job   string        `json:"job,omitempty"`

	offset int
	after  []task
}

// task is one task of an array that was sent before.
type task struct{ array, index int }

// Arrays makes array jobs of the groups: their tasks bear the units' positions, less an offset in long plans.
func Arrays(groups []Group) []Array {
	var arrays []Array
	owner := map[int]int{} // position -> array
	for _, g := range groups {
		var after []task
		for _, need := range g.Needs {
			after = append(after, task{owner[need], need - arrays[owner[need]].offset})
		}
		for at := 0; at < len(g.Units); {
			a := Array{Kind: g.Kind, offset: g.Units[at] / MaxTasks * MaxTasks, after: after}
			for ; at < len(g.Units) && g.Units[at] < a.offset+MaxTasks; at++ {
				a.Units = append(a.Units, g.Units[at])
				owner[g.Units[at]] = len(arrays)
			}
			arrays = append(arrays, a)
		}
	}
	return arrays
}

// script is the batch script of an array. job names an array that was sent before.
func (s Slurm) script(e *pipeline.Experiment, a Array, name, config string, job func(array int) string) string {
	var b strings.Builder
	option := func(format string, args ...any) { fmt.Fprintf(&b, "#SBATCH "+format+"\n", args...) }
	b.WriteString("#!/bin/sh\n")
	fmt.Fprintf(&b, "# %d units: %s\n", len(a.Units), Ranges(a.Units))
	option("--job-name=%s", name)
	tasks := make([]int, len(a.Units))
	for i, u := range a.Units {
		tasks[i] = u - a.offset
	}
	limit := ""
	if s.Parallel > 0 {
		limit = fmt.Sprintf("%%%d", s.Parallel)
	}
	option("--array=%s%s", Ranges(tasks), limit)
	if len(a.after) > 0 {
		condition := "afterok"
		for _, t := range a.after {
			condition += fmt.Sprintf(":%s_%d", job(t.array), t.index)
		}
		option("--dependency=%s", condition)
		option("--kill-on-invalid-dep=yes") // else what waits for a failed unit waits for ever
	}
	option("--requeue")
	option("--signal=B:USR1@%d", s.Grace)
	option("--open-mode=append")
	option("--output=%s", filepath.Join(e.Dir, "slurm", "%A_%a.log"))
	option("--chdir=%s", s.Dir)
	if s.CPUs > 0 {
		option("--cpus-per-task=%d", s.CPUs)
	}
	for _, o := range s.Options {
		option("%s", o)
	}
	// exec: the signal and the exit code are the unit's own, not a shell's.
	fmt.Fprintf(&b, "\nexec %s unit %s --out %s", quote(s.Program), quote(config), quote(e.Dir))
	if s.CPUs > 0 {
		fmt.Fprintf(&b, " --set threads=%d", s.CPUs)
	}
	if a.offset > 0 {
		fmt.Fprintf(&b, " --index $((SLURM_ARRAY_TASK_ID + %d))", a.offset)
	}
	b.WriteString("\n")
	return b.String()
}

// quote makes a text one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// check refuses what would not reach Slurm as it was meant.
func (s Slurm) check(e *pipeline.Experiment) error {
	for _, o := range s.Options {
		if !strings.HasPrefix(o, "-") || strings.ContainsAny(o, "\n\r") {
			return fault.Usage(fmt.Errorf("%q is no option of sbatch: --partition=NAME, --time=8:00:00", o))
		}
	}
	for _, path := range []string{e.Dir, s.Dir} {
		if strings.ContainsAny(path, " \t\n\r\\%") {
			return fault.Usage(fmt.Errorf("%q: sbatch reads no folder with a blank, a backslash or a %% in its name; choose another --out", path))
		}
	}
	return nil
}

// Print writes the scripts of all arrays, with placeholders for the numbers that Slurm gives.
func (s Slurm) Print(w io.Writer, e *pipeline.Experiment, arrays []Array) error {
	name, err := Name(e)
	if err == nil {
		err = s.check(e)
	}
	if err != nil {
		return err
	}
	file, _, err := Frozen(e)
	if err != nil {
		return err
	}
	for i, a := range arrays {
		script := s.script(e, a, name, filepath.Join(e.Dir, "slurm", file), func(array int) string { return fmt.Sprintf("JOB%d", array+1) })
		if _, err := fmt.Fprintf(w, "### JOB%d: sbatch <<'END'\n%sEND\n\n", i+1, script); err != nil {
			return err
		}
	}
	return nil
}

// Submit sends all arrays, or none: where one is refused, those before it are cancelled. Jobs of the same run that wait or run
// already are an error, unless again says that they may.
func (s Slurm) Submit(ctx context.Context, e *pipeline.Experiment, arrays []Array, again bool) error {
	name, err := Name(e)
	if err == nil {
		err = s.check(e)
	}
	if err != nil {
		return err
	}
	if err := alone(ctx, name, again); err != nil {
		return err
	}
	file, data, err := Frozen(e)
	if err != nil {
		return err
	}
	config := filepath.Join(e.Dir, "slurm", file)
	if err := errors.Join(os.MkdirAll(filepath.Dir(config), 0o777), os.WriteFile(config, data, 0o666)); err != nil {
		return fmt.Errorf("keeping the configuration for the jobs: %w", err)
	}
	for i := range arrays {
		script := s.script(e, arrays[i], name, config, func(array int) string { return arrays[array].Job })
		arrays[i].Job, err = send(ctx, script)
		if err != nil {
			return errors.Join(err, cancel(arrays[:i]))
		}
	}
	return nil
}

var jobForm = regexp.MustCompile(`^\d+$`)

// send gives a script to sbatch and returns the job's number.
func send(ctx context.Context, script string) (string, error) {
	out, err := command(ctx, script, "sbatch", "--parsable")
	if err != nil {
		return "", err
	}
	job, _, _ := strings.Cut(strings.TrimSpace(out), ";") // a cluster's name may follow
	if !jobForm.MatchString(job) {
		return "", fmt.Errorf("sbatch gives %q for the job's number", out)
	}
	return job, nil
}

// alone makes sure that no job of the run waits or runs.
func alone(ctx context.Context, name string, again bool) error {
	if again {
		return nil
	}
	out, err := command(ctx, "", "squeue", "--noheader", "--name="+name, "--format=%i %T")
	if err != nil {
		return err
	}
	if jobs := strings.Split(strings.TrimSpace(out), "\n"); jobs[0] != "" {
		return fmt.Errorf("%d jobs of this run wait or run already (%s, …): wait for them, cancel them by `scancel --name=%s`, or submit all the same with --again",
			len(jobs), jobs[0], name)
	}
	return nil
}

// cancel takes back what was sent.
func cancel(sent []Array) error {
	if len(sent) == 0 {
		return nil
	}
	args := []string{}
	for _, a := range sent {
		args = append(args, a.Job)
	}
	if _, err := command(context.Background(), "", "scancel", args...); err != nil {
		return fmt.Errorf("cancelling the jobs that were sent before (%s): %w", strings.Join(args, " "), err)
	}
	return fmt.Errorf("the %d jobs that were sent before it are cancelled", len(sent))
}

// command runs one of Slurm's programs.
func command(ctx context.Context, stdin, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("there is no %s here: submit from a computer of the cluster, or see what would be sent with --dry-run", program)
	}
	if err != nil {
		return "", fmt.Errorf("%s refuses: %w: %s", program, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
