//go:build mpi

package mpi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	"metalora/pipeline"
)

// tiny has a unit of every kind of loop, and dropout.
const tiny = `
name: tiny
seeds: [0]
threads: 1
synthetic: {personas: {retrain: 2, test: 2}, dialogues: 8, turns: 2, candidates: 5, vocabulary: 300, seed: 0}
data: {candidates: {train: 2, evaluate: 0}}
tasks: {retrain: {file: train, ranks: 1-2, held_out: 2}, test: {file: valid, ranks: 1, held_out: 2}}
model: {init: {hidden: 16, layers: 1, heads: 2, intermediate: 32, positions: 514}}
retrain: {methods: [sr, meta-lora-2, reptile, fomaml-2], epochs: 2, batch: 4, learning_rate: 1e-3}
adapt: {families: [lora-4, none], epochs: 1, batch: 4, learning_rate: 4e-3}
`

// some are four retrainings and two adaptations, one of which trains nothing.
var some = []string{"--only", "retrain*", "--only", "adapt sr*"}

// long is a retraining that takes some seconds, with a checkpoint every three steps.
var long = []string{"--only", "retrain sr*", "--set", "retrain.epochs=40", "--set", "checkpoint.steps=3"}

// bench is the program in both builds, the configuration, and runs that others are compared with.
type bench struct {
	*testing.T
	dir, config    string
	plain, program string // built without and with MPI
	one            string // a run of one process
}

// TestMPI runs an experiment under a real mpirun.
func TestMPI(t *testing.T) {
	dir := t.TempDir()
	b := &bench{T: t, dir: dir, config: filepath.Join(dir, "tiny.yaml"), plain: filepath.Join(dir, "plain"), program: filepath.Join(dir, "metalora"),
		one: filepath.Join(dir, "one")}
	lib, err := library.Find()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(library.Variable, lib)
	b.shell("go build -o " + b.plain + " metalora")
	b.shell("go build -tags mpi -o " + b.program + " metalora")
	if err := os.WriteFile(b.config, []byte(tiny), 0o644); err != nil {
		t.Fatal(err)
	}
	version, _, _ := strings.Cut(b.shell("mpirun --version"), "\n")
	t.Logf("%s, ranks on one computer", version)
	b.alone(b.plain, b.some(b.one)...)
	for _, c := range []struct {
		name string
		test func(*bench)
	}{{"one rank", oneRank}, {"two ranks", severalRanks(2)}, {"three ranks", severalRanks(3)}, {"refused", refused}, {"killed", killed}, {"stopped", stopped}} {
		t.Run(c.name, func(t *testing.T) {
			began, inner := time.Now(), *b
			inner.T = t
			c.test(&inner)
			t.Logf("%s: passed in %.0f s", c.name, time.Since(began).Seconds())
		})
	}
}

// oneRank: one rank, with mpirun and without, leaves the bytes of the program that is built without MPI.
func oneRank(b *bench) {
	without, with := filepath.Join(b.dir, "without"), filepath.Join(b.dir, "with")
	b.alone(b.program, b.some(without)...)
	b.ranks(1, 0, b.some(with)...)
	for _, dir := range []string{without, with} {
		b.Logf("one rank: %d files have the bytes of the program without MPI", b.same(b.one, dir))
	}
}

// severalRanks come to one rank's weights, losses and scores within 1e-5, and to the same bits each time.
func severalRanks(n int) func(*bench) {
	return func(b *bench) {
		dir, again := filepath.Join(b.dir, fmt.Sprint(n)), filepath.Join(b.dir, fmt.Sprint(n, "-again"))
		b.ranks(n, 0, b.some(dir)...)
		weights, losses, scores := b.distance(b.one, dir)
		if max(weights, losses, scores) > 1e-5 {
			b.Error("they are farther from one rank than 1e-5")
		}
		b.Logf("%d ranks: weights differ from one rank's by up to %.1g, losses by %.1g, scores by %.1g", n, weights, losses, scores)
		b.ranks(n, 0, b.some(again)...)
		b.Logf("%d ranks again: %d files have the same bytes", n, b.same(dir, again))
		b.recorded(dir, n)
	}
}

// recorded: what gradients were added up by stands in the results of units that trained, and a single process says nothing of it.
func (b *bench) recorded(dir string, n int) {
	b.Helper()
	for place, want := range map[string]int{dir: n, b.one: 0} {
		files, err := filepath.Glob(filepath.Join(place, "units", "*", "results.json"))
		if err != nil {
			b.Fatal(err)
		}
		said := map[int]int{}
		for _, path := range files {
			var r pipeline.Result
			b.read(path, &r)
			if r.Together == nil {
				said[0]++
			} else if r.Together.Chunk > 0 && r.Together.Algorithm != "" {
				said[r.Together.Ranks]++
			}
		}
		if len(files) != 6 || said[want] < 5 || said[want]+said[0] < 6 {
			b.Errorf("%s: %d results, by ranks: %v", place, len(files), said)
		}
	}
}

// refused: what several processes cannot do is refused before anything is written.
func refused(b *bench) {
	dir := filepath.Join(b.dir, "refused")
	for name, c := range map[string]struct {
		program string
		args    []string
		want    string
	}{
		"without MPI":  {b.plain, []string{"run", b.config, "--out", dir}, "built without MPI"},
		"another verb": {b.program, []string{"demo", "--out", dir}, "only run and unit share"},
		"no such unit": {b.program, []string{"unit", b.config, "--out", dir, "--index", "99"}, "no unit 99"},
		"bad setting":  {b.program, []string{"run", b.config, "--out", dir, "--set", "retrain.epochs=x"}, "retrain.epochs"},
	} {
		if out, code := launch(b.T, 2, c.program, c.args...); code != 2 || !strings.Contains(out, c.want) {
			b.Errorf("%s: exit code %d, want 2 and %q\n%s", name, code, c.want, out)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		b.Error("something was written")
	}
}

// killed: a rank that is killed, rank 0 or another, ends the job; the same command then goes on from the last checkpoint, to the
// bits of a run that was left alone.
func killed(b *bench) {
	calm, rough := filepath.Join(b.dir, "calm"), filepath.Join(b.dir, "killed")
	b.ranks(3, 0, b.long(calm)...)
	for _, victim := range []int{2, 0} {
		code, out := b.disturb(3, rough, func(pids []int, _ *exec.Cmd) { b.signal(pids[victim], syscall.SIGKILL) })
		if code == 0 {
			b.Fatalf("mpirun returned 0\n%s", out)
		}
		b.Logf("rank %d of 3 was killed: mpirun returned %d", victim, code)
	}
	b.ranks(3, 0, b.long(rough)...)
	b.Logf("then: %d files have the bytes of a run that was left alone", b.same(calm, rough))
	b.resumed(rough, 2)
}

// stopped: USR1 to mpirun, or to one rank alone, stops all at a checkpoint with 75; another number of ranks does not go on from
// there unasked, the same number does, to the same bits.
func stopped(b *bench) {
	calm, rough := filepath.Join(b.dir, "calm-2"), filepath.Join(b.dir, "stopped")
	b.ranks(2, 0, b.long(calm)...)
	for name, to := range map[string]func([]int, *exec.Cmd){
		"mpirun": func(_ []int, cmd *exec.Cmd) { b.signal(cmd.Process.Pid, syscall.SIGUSR1) },
		"rank 1": func(pids []int, _ *exec.Cmd) { b.signal(pids[1], syscall.SIGUSR1) },
	} {
		if code, out := b.disturb(2, rough, to); code != 75 || !strings.Contains(out, "will go on from its checkpoint") {
			b.Fatalf("USR1 to %s: exit code %d, want 75\n%s", name, code, out)
		}
		b.Logf("USR1 to %s: all ranks stopped at a checkpoint, mpirun returned 75", name)
	}
	if out := b.ranks(3, 2, b.long(rough)...); !strings.Contains(out, `ranks was "2,`) {
		b.Errorf("three ranks on the checkpoint of two: %s", out)
	}
	b.ranks(2, 0, b.long(rough)...)
	b.Logf("then: %d files have the bytes of a run that was left alone", b.same(calm, rough))
	b.resumed(rough, 3) // the refused start counts
}

func (b *bench) long(dir string) []string {
	return append([]string{"run", b.config, "--out", dir}, long...)
}

func (b *bench) some(dir string) []string {
	return append([]string{"run", b.config, "--out", dir}, some...)
}

// resumed: the unit had been begun so often before, and did not begin anew at the end.
func (b *bench) resumed(dir string, interruptions int) {
	b.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "units", "*", "provenance.json"))
	if len(files) != 1 {
		b.Fatalf("%d units are done, want 1", len(files))
	}
	var p pipeline.Provenance
	if b.read(files[0], &p); p.Interruptions != interruptions {
		b.Errorf("%d interruptions, want %d", p.Interruptions, interruptions)
	}
}

// disturb starts the long retraining, does something to its ranks once they are past a checkpoint that was not there before, and
// returns mpirun's exit code.
func (b *bench) disturb(n int, dir string, do func(pids []int, cmd *exec.Cmd)) (int, string) {
	b.Helper()
	before := checkpoints(dir)
	var out bytes.Buffer
	cmd := mpirun(b.T, n, b.program, b.long(dir)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.until("a new checkpoint appears", func() bool {
		now := checkpoints(dir)
		return len(now) > 0 && (len(before) == 0 || now[len(now)-1] > before[len(before)-1])
	})
	do(b.pids(n), cmd)
	_ = cmd.Wait()
	left := checkpoints(dir)
	if len(left) == 0 {
		b.Fatal("no checkpoint is left")
	}
	b.alone(b.program, "verify", left[len(left)-1])
	return cmd.ProcessState.ExitCode(), out.String()
}

// checkpoints are the finished ones in a run's folder, in order.
func checkpoints(dir string) []string {
	all, _ := filepath.Glob(filepath.Join(dir, "work", "*", "checkpoints", "step-*"))
	return slices.DeleteFunc(all, func(path string) bool { return filepath.Ext(path) != "" })
}

// pids finds the running ranks of the program.
func (b *bench) pids(n int) []int {
	b.Helper()
	pids := make([]int, n)
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != b.program {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		environ, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "environ"))
		for _, variable := range strings.Split(string(environ), "\x00") {
			if rank, ok := strings.CutPrefix(variable, "OMPI_COMM_WORLD_RANK="); ok {
				place, _ := strconv.Atoi(rank)
				pids[place] = pid
			}
		}
	}
	if slices.Contains(pids, 0) {
		b.Fatalf("ranks that run: %v", pids)
	}
	return pids
}

func (b *bench) signal(pid int, signal syscall.Signal) {
	b.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		b.Fatal(err)
	}
}

// ranks runs the program on so many ranks, which has to end with that code.
func (b *bench) ranks(n, code int, args ...string) string {
	b.Helper()
	out, got := launch(b.T, n, b.program, args...)
	if got != code {
		b.Fatalf("%d ranks, %s: exit code %d, want %d\n%s", n, strings.Join(args, " "), got, code, out)
	}
	return out
}

// alone runs a program without mpirun.
func (b *bench) alone(program string, args ...string) {
	b.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		b.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

func (b *bench) shell(script string) string {
	b.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

func (b *bench) until(what string, condition func() bool) {
	b.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%s: not within a minute", what)
		}
	}
}

func (b *bench) read(path string, v any) {
	b.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		b.Fatalf("%s: %v", path, err)
	}
}
