//go:build unix

package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"metalora/pipeline"
	"metalora/pipeline/fault"
)

// What task torture asks for.
var (
	torture = flag.String("torture", "", "torture every method, and add to `FILE` what was tried")
	binary  = flag.String("binary", "", "the `PROGRAM` to torture; default: this test's own command line")
	stops   = flag.Int("stops", 3, "stop the run `N` times, or as often as it comes to while it lasts")
)

// tortured is an experiment whose matrix products are large enough for the engine to share among threads. Dropout is on.
const tortured = `name: tortured
synthetic: {personas: {retrain: 2, test: 2}, dialogues: 3, turns: 3, candidates: 8, vocabulary: 300}
model: {init: {hidden: 64, layers: 2, heads: 4}}
seeds: [0]
tasks: {retrain: {ranks: 1-2, held_out: 1}, test: {ranks: 1, held_out: 1}}
retrain:
  methods: [meta-lora-2]
  epochs: 2
  batch: 2
  inner: {reptile_steps: 2, maml_steps: 2}
adapt: {families: [lora-2], epochs: 2, batch: 2}
checkpoint: {steps: 2}
`

// everyMethod is what a whole torture sets: each retraining method, and each family from a base.
var everyMethod = []string{"--set", "retrain.methods=[sr, sr-mixed, sr-heads, sr-lora-2, meta-lora-2, meta-lora-symmetric-2, meta-last-layer, reptile, fomaml-2, anil]",
	"--set", "adapt.families=[lora-2, last-layer, full, none]"}

// childArgs names the variable that makes this test the program: its arguments, one a line.
const childArgs = "METALORA_TEST_ARGS"

// process is the program as a process of its own.
func process(args ...string) *exec.Cmd {
	if *binary != "" {
		return exec.Command(*binary, args...)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestTortureProcess$")
	c.Env = append(os.Environ(), childArgs+"="+strings.Join(args, "\n"))
	return c
}

// TestTortureProcess: a run whose process is stopped again and again, by Ctrl-C, SIGTERM, SIGUSR1 or kill -9 at random moments, each
// time with another number of threads, which sleep or spin while they wait, ends with the bytes of a run that went through on one thread.
func TestTortureProcess(t *testing.T) {
	if args := os.Getenv(childArgs); args != "" {
		os.Exit(Main(strings.Split(args, "\n"), os.Stdin, os.Stdout, os.Stderr))
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "tortured.yaml")
	if err := os.WriteFile(config, []byte(tortured), 0o666); err != nil {
		t.Fatal(err)
	}
	args := func(out string, threads int) []string {
		a := []string{"run", config, "--out", filepath.Join(dir, out), "--set", fmt.Sprint("threads=", threads), "--set", fmt.Sprint("spin=", threads == 2)}
		if *torture != "" {
			a = append(a, everyMethod...)
		}
		return a
	}
	began := time.Now()
	if out, err := process(args("calm", 1)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	whole := time.Since(began)
	random, count := rand.New(rand.NewPCG(5, 0)), map[string]int{}
	n := 0
	for attempts := 0; ; attempts++ {
		signal, wait := syscall.Signal(0), time.Duration(0)
		if n < *stops && attempts < 20**stops {
			signal = []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGKILL}[random.IntN(4)]
			wait = time.Duration(float64(whole) / float64(*stops) * 1.5 * random.Float64())
		}
		stopped := disturb(t, process(args("rough", 1+random.IntN(2))...), signal, wait)
		if !stopped {
			break
		}
		n++
		count[signal.String()]++
	}
	if n == 0 {
		t.Error("nothing was stopped")
	}
	units := sameUnits(t, filepath.Join(dir, "calm"), filepath.Join(dir, "rough"))
	if problems, err := pipeline.Verify(filepath.Join(dir, "rough")); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if t.Failed() {
		return
	}
	tell(t, "A run of %d units on 1 and 2 threads by turns, two of which spin, its process stopped %d times at random moments (%s): all files equal those of a run on one thread that went through.",
		units, n, strings.Trim(fmt.Sprint(count), "map[]"))
}

// disturb starts a process and sends it a signal after a while; it tells whether that ended it early. A stop on request must end
// with exit code 75.
func disturb(t *testing.T, c *exec.Cmd, signal syscall.Signal, wait time.Duration) (stopped bool) {
	t.Helper()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if signal != 0 {
		timer := time.AfterFunc(wait, func() { _ = c.Process.Signal(signal) })
		defer timer.Stop()
	}
	err := c.Wait()
	if err == nil {
		return false
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || signal == 0 {
		t.Fatalf("%v\n%s", err, &out)
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	beforeIt := out.Len() == 0 // it had not begun to listen
	if !(status.Signaled() && (signal == syscall.SIGKILL || beforeIt)) && exit.ExitCode() != fault.CodeStopped {
		t.Fatalf("%v after %v: %v, want exit code %d\n%s", signal, wait, err, fault.CodeStopped, &out)
	}
	return true
}

// sameUnits compares what two runs computed, what says where and when apart, and counts the units.
func sameUnits(t *testing.T, want, got string) (units int) {
	t.Helper()
	a, b := computed(t, want), computed(t, got)
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			t.Errorf("%s differs from the undisturbed run's", name)
		}
		if filepath.Base(name) == pipeline.ResultsFile {
			units++
		}
	}
	if len(a) != len(b) || units == 0 {
		t.Errorf("%d files and %d, %d units", len(a), len(b), units)
	}
	return units
}

func computed(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(filepath.Join(dir, "units"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == pipeline.ProvenanceFile || entry.Name() == "manifest.json" {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// tell adds a line to the summary that the torture is asked for.
func tell(t *testing.T, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	t.Log(line)
	if *torture == "" {
		return
	}
	file, err := os.OpenFile(*torture, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintln(file, "* "+line)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}
