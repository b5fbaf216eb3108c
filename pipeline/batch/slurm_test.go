//go:build slurm

package batch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"metalora/onnx/ort/library"
)

// tiny is two retrainings, of which one takes some seconds, and two adaptations of each.
const tiny = `
name: tiny
seeds: [0]
threads: 1
synthetic: {personas: {retrain: 2, test: 2}, dialogues: 8, turns: 2, candidates: 5, vocabulary: 300, seed: 0}
data: {candidates: {train: 2, evaluate: 0}}
tasks: {retrain: {file: train, ranks: 1-2, held_out: 2}, test: {file: valid, ranks: 1-2, held_out: 2}}
model: {init: {hidden: 16, layers: 1, heads: 2, intermediate: 32, positions: 514}}
retrain: {methods: [none, sr], epochs: 60, batch: 2, learning_rate: 1e-3}
adapt: {families: [lora-4], epochs: 1, batch: 4, learning_rate: 4e-3}
`

// bench is a cluster, the program, the configuration and a run of it on this computer alone.
type bench struct {
	*testing.T
	cluster, program, config, local string
}

// TestSlurm runs one experiment in several ways on a real cluster of two virtual nodes; the deterministic files of each run
// must have the bytes of a run without a cluster.
func TestSlurm(t *testing.T) {
	b := &bench{T: t, cluster: start(t)}
	dir := t.TempDir()
	b.program, b.config, b.local = filepath.Join(dir, "metalora"), filepath.Join(dir, "tiny.yaml"), filepath.Join(dir, "local")
	lib, err := library.Find()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(library.Variable, lib)
	shell(t, "go build -o "+b.program+" metalora")
	if err := os.WriteFile(b.config, []byte(tiny), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	t.Logf("%s, two virtual nodes on one computer", strings.TrimSpace(shell(t, "sinfo --version")))
	b.metalora(0, "run", b.config, "--out", b.local)
	for _, c := range []struct {
		name string
		test func(*bench, string)
	}{{"whole", whole}, {"failed parent", failedParent}, {"killed", killed}, {"requeued and started twice", requeued}, {"time limit", timeLimit}, {"refused", refused}} {
		t.Run(c.name, func(t *testing.T) {
			began, inner := time.Now(), *b
			inner.T = t
			c.test(&inner, filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-")))
			t.Logf("%s: passed in %.0f s", c.name, time.Since(began).Seconds())
		})
	}
}

// metalora runs the program, which has to end with that code.
func (b *bench) metalora(code int, args ...string) string {
	b.Helper()
	cmd := exec.Command(b.program, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		b.Fatalf("metalora %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, code, out)
	}
	return string(out)
}

// states counts a run's units by state.
func (b *bench) states(dir string, args ...string) map[string]int {
	b.Helper()
	out, err := exec.Command(b.program, append([]string{"status", b.config, "--out", dir, "--json"}, args...)...).Output()
	var units []struct{ State string }
	if err == nil {
		err = json.Unmarshal(out, &units)
	}
	if err != nil {
		b.Fatal(err)
	}
	count := map[string]int{}
	for _, u := range units {
		count[u.State]++
	}
	return count
}

func (b *bench) submit(dir string, args ...string) {
	b.Helper()
	b.metalora(0, append([]string{"submit", "slurm", b.config, "--out", dir}, args...)...)
}

// empty waits until the cluster has no job.
func (b *bench) empty() {
	b.Helper()
	until(b.T, "the queue empties", 5*time.Minute, func() bool { return queue(b) == "" })
}

func queue(b *bench) string { return strings.TrimSpace(shell(b.T, "squeue -h -r -o '%i %T %r'")) }

// same compares all files of finished units with the local run's, but for those that say where and when.
func (b *bench) same(dir string) {
	b.Helper()
	if n := b.states(dir)["done"]; n != 6 {
		b.Fatalf("%d of 6 units are done\n%s", n, shell(b.T, "tail -n 20 "+dir+"/slurm/*.log "+b.cluster+"/jobcomp.log"))
	}
	compared := 0
	units := filepath.Join(b.local, "units")
	err := filepath.WalkDir(units, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "provenance.json" || d.Name() == "manifest.json" {
			return err
		}
		rest, err := filepath.Rel(units, path)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(dir, "units", rest))
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("%s has other bytes than the local run's", rest)
		}
		compared++
		return err
	})
	if err != nil || compared < 20 {
		b.Errorf("%d files compared: %v", compared, err)
	}
	b.Logf("%d files have the local run's bytes", compared)
}

// running waits until the second retraining, which takes a while, is under way and has made steps; it gives its process.
func (b *bench) running(dir string) (pid int) {
	b.Helper()
	until(b.T, "the retraining begins", time.Minute, func() bool {
		logs, _ := filepath.Glob(filepath.Join(dir, "slurm", "*_1.log"))
		locks, _ := filepath.Glob(filepath.Join(dir, "work", "retrain-*", "lock"))
		for _, lock := range locks {
			data, _ := os.ReadFile(lock)
			fields := strings.Fields(string(data)) // "host process 123"
			if len(fields) == 3 && len(logs) > 0 && strings.Contains(string(mustRead(logs[0])), "retrain sr") {
				pid, _ = strconv.Atoi(fields[2])
			}
		}
		return pid > 0
	})
	until(b.T, "the retraining makes steps", time.Minute, func() bool { // its metrics are written some dozen steps at a time
		files, _ := filepath.Glob(filepath.Join(dir, "work", "retrain-*.tmp-*", "metrics.jsonl"))
		return slices.ContainsFunc(files, func(path string) bool { return len(mustRead(path)) > 0 })
	})
	return pid
}

func mustRead(path string) []byte {
	data, _ := os.ReadFile(path)
	return data
}

func whole(b *bench, dir string) {
	b.submit(dir)
	if out := b.metalora(1, "submit", "slurm", b.config, "--out", dir); !strings.Contains(out, "--again") {
		b.Errorf("submitting what is under way: %s", out)
	}
	b.empty()
	b.same(dir)
	if out := b.metalora(0, "submit", "slurm", b.config, "--out", dir); !strings.Contains(out, "nothing to submit") {
		b.Errorf("submitting what is done: %s", out)
	}
}

// failedParent: one retraining breaks; its adaptations are cancelled, the other's are not.
func failedParent(b *bench, dir string) {
	b.submit(dir, "--set", "retrain.learning_rate=1e38")
	b.empty()
	count := b.states(dir, "--set", "retrain.learning_rate=1e38")
	if count["done"] != 3 || count["failed"] != 1 || count["todo"] != 2 {
		b.Errorf("states %v, want 3 done, 1 failed, 2 to do", count)
	}
}

// killed: a unit that is killed goes on when it is submitted again.
func killed(b *bench, dir string) {
	b.submit(dir)
	if err := syscall.Kill(b.running(dir), syscall.SIGKILL); err != nil {
		b.Fatal(err)
	}
	b.empty()
	if n := b.states(dir)["done"]; n != 3 {
		b.Errorf("%d units are done, want 3", n)
	}
	b.submit(dir)
	b.empty()
	b.same(dir)
}

// requeued: a unit that the cluster stops and starts again goes on from its checkpoint. While it runs it is started a second
// time, which ends at once and harms nothing.
func requeued(b *bench, dir string) {
	b.submit(dir)
	b.running(dir)
	if out := b.metalora(1, "unit", b.config, "--out", dir, "--index", "1"); !strings.Contains(out, "another process") {
		b.Errorf("the second start: %s", out)
	}
	job := strings.TrimSpace(shell(b.T, "squeue -h -r -t RUNNING -o '%F_%K' | grep '_1$'"))
	shell(b.T, "scontrol requeue "+job)
	b.hurry(job)
	b.empty()
	b.same(dir)
	if log := shell(b.T, "cat "+dir+"/slurm/*_1.log"); !strings.Contains(log, "will go on from its checkpoint") {
		b.Errorf("the unit's log does not say that it stopped at a checkpoint:\n%s", log)
	}
}

// hurry takes away the two minutes that Slurm lets a requeued job wait.
func (b *bench) hurry(job string) {
	b.Helper()
	// While the job still ends, Slurm takes a new start time and forgets it.
	until(b.T, "the unit starts again", 60*time.Second, func() bool {
		_ = exec.Command("scontrol", "update", "JobId="+job, "StartTime=now").Run()
		job := shell(b.T, "scontrol show job "+job)
		return strings.Contains(job, "Restarts=1") && (strings.Contains(job, "JobState=RUNNING") || strings.Contains(job, "JobState=COMPLETED"))
	})
}

// timeLimit: USR1 before the limit makes the unit save its work and end with 75, and the cluster starts it again.
func timeLimit(b *bench, dir string) {
	slow := []string{"--set", "retrain.epochs=2000", "--only", "retrain sr*"}
	b.submit(dir, append(slow, "--grace", "50", "--sbatch=--time=1")...)
	b.running(dir)
	until(b.T, "the unit ends with 75", 50*time.Second, func() bool {
		return strings.Contains(string(mustRead(filepath.Join(b.cluster, "jobcomp.log"))), "ExitCode=75:0")
	})
	points, _ := filepath.Glob(filepath.Join(dir, "work", "*", "checkpoints", "*"))
	if len(points) == 0 {
		b.Error("there is no checkpoint")
	}
	until(b.T, "the unit is queued again", 30*time.Second, func() bool { return strings.Contains(queue(b), "PENDING") })
	shell(b.T, "scancel -u root")
	b.empty()
}

// refused: a cluster that takes the first array and not the second keeps none.
func refused(b *bench, dir string) {
	out := b.metalora(1, "submit", "slurm", b.config, "--out", dir, "--sbatch=--partition=nowhere")
	if !strings.Contains(out, "nowhere") && !strings.Contains(out, "partition") {
		b.Errorf("it says: %s", out)
	}
	if left := queue(b); left != "" {
		b.Errorf("jobs are left: %s", left)
	}
}
