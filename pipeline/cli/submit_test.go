package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const demo = "../../configs/demo.yaml"

// TestSubmitDryRun prints what would be sent and touches nothing.
func TestSubmitDryRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	out := succeed(t, "submit", "slurm", demo, "--out", dir, "--dry-run", "--cpus", "3", "--sbatch=--time=8:00:00", "--only", "adapt sr * task 2 seed 1")
	for _, want := range []string{"#SBATCH --array=2\n", "#SBATCH --dependency=afterok:JOB1_2\n", "#SBATCH --kill-on-invalid-dep=yes\n", "#SBATCH --requeue\n",
		"#SBATCH --signal=B:USR1@120\n", "#SBATCH --time=8:00:00\n", "\nexec '", " --set threads=3\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if n := strings.Count(out, "#!/bin/sh"); n != 2 {
		t.Errorf("%d scripts, want the adaptation's and that of what it needs", n)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder was made")
	}
}

func TestSubmitErrors(t *testing.T) {
	t.Setenv("PATH", "") // no Slurm
	dir := filepath.Join(t.TempDir(), "run")
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no engine":         {[]string{"submit"}, 2, "needs a verb"},
		"misspelt engine":   {[]string{"submit", "slrm", demo}, 2, `did you mean "slurm"`},
		"no Slurm here":     {[]string{"submit", "slurm", demo, "--out", dir}, 1, "--dry-run"},
		"no option":         {[]string{"submit", "slurm", demo, "--out", dir, "--dry-run", "--sbatch", "partition=x"}, 2, "no option of sbatch"},
		"a second line":     {[]string{"submit", "slurm", demo, "--out", dir, "--dry-run", "--sbatch", "--a\nrm -r ."}, 2, "no option of sbatch"},
		"a blank":           {[]string{"submit", "slurm", demo, "--out", dir + " x", "--dry-run"}, 2, "blank"},
		"grace":             {[]string{"submit", "slurm", demo, "--out", dir, "--dry-run", "--grace", "0"}, 2, "--grace"},
		"Kubernetes itself": {[]string{"submit", "kubernetes", demo, "--image", "x", "--out", "run"}, 2, "kubectl apply"},
		"no image":          {[]string{"submit", "kubernetes", demo, "--dry-run", "--out", "run"}, 2, "--image"},
		"not among":         {[]string{"unit", demo, "--out", dir, "--among", "4-7", "--index", "4"}, 2, "0 to 3"},
		"no list":           {[]string{"unit", demo, "--out", dir, "--among", "4-", "--index", "0"}, 2, "4-"},
		"no machines":       {[]string{"plan", demo, "--out", dir, "--machines", "0"}, 2, "--machines"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := invoke(t, "", c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d; message, which should have %q:\n%s", code, c.code, c.want, stderr)
			}
		})
	}
}

// TestLongPlan plans and prints 2,000 units in a time that leaves room for a slow computer: the issue asks for a second.
func TestLongPlan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	seeds := make([]string, 200)
	for i := range seeds {
		seeds[i] = fmt.Sprint(i)
	}
	long := []string{demo, "--out", dir, "--set", "seeds=[" + strings.Join(seeds, ",") + "]"}
	for _, verb := range [][]string{{"plan"}, {"status"}, {"submit", "slurm", "--dry-run"}} {
		began := time.Now()
		out := succeed(t, append(verb, long...)...)
		t.Logf("%s: %v", strings.Join(verb, " "), time.Since(began))
		if time.Since(began) > 10*time.Second || !strings.Contains(out, "2000") && verb[0] != "submit" {
			t.Errorf("%s took %v:\n%.300s", verb[0], time.Since(began), out)
		}
	}
}
