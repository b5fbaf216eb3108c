package main

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"metalora/pipeline/cli"
)

const (
	root      = "../../.."
	mostTime  = time.Second // of the processor, for the whole command
	mostBytes = 64 << 20    // that the command has resident at its peak
)

// asCommand is set for a program of this test that is to be the command line, to the file that it leaves its peak in.
const asCommand = "METALORA_HOSTILE"

// TestMain makes this test's program the command line itself where a test starts it as that.
func TestMain(m *testing.M) {
	note := os.Getenv(asCommand)
	if note == "" {
		os.Exit(m.Run())
	}
	code := cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err := os.WriteFile(note, []byte(strconv.FormatInt(peak(), 10)), 0o666); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// TestCorpus keeps the files that lie in the packages to those that the program writes.
func TestCorpus(t *testing.T) {
	all, err := corpus(root)
	if err != nil {
		t.Fatal(err)
	}
	written := map[string][]byte{}
	for _, a := range all {
		path := filepath.Join(root, a.path())
		if _, twice := written[path]; twice {
			t.Errorf("%s is written twice", a.path())
		}
		written[path] = a.data
		if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, a.data) {
			t.Errorf("%s is not as the program writes it (go run ./pipeline/cli/hostile): %v", a.path(), err)
		}
	}
	for _, a := range all {
		err := filepath.WalkDir(filepath.Dir(filepath.Join(root, a.path())), func(path string, entry fs.DirEntry, err error) error {
			if _, known := written[path]; err == nil && !entry.IsDir() && !known {
				t.Errorf("%s is a file that the program does not write", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 60 {
		t.Errorf("%d files, want 60 or more", len(all))
	}
}

// TestRefused runs the command line on every file of the corpus: it ends with the right code and a message that names the file
// and says why, within a second and 64 MiB.
func TestRefused(t *testing.T) {
	all, err := corpus(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) { a.refused(t, a.stage(t)) })
	}
}

// stage puts an attack's file where its command reads it, and returns what the command is told.
func (a attack) stage(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "staged")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if a.base != "" {
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, filepath.FromSlash(a.base)))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range a.without {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, a.file())
	if err := os.WriteFile(path, a.data, 0o666); err != nil {
		t.Fatal(err)
	}
	if a.base == "" {
		return path
	}
	return dir
}

// file is the name under which an attack's file is read.
func (a attack) file() string {
	if a.as != "" {
		return a.as
	}
	return a.name
}

// refused runs an attack's command and measures it.
func (a attack) refused(t *testing.T, path string) {
	t.Helper()
	verb := slices.Clone(a.verb)
	for i, arg := range verb {
		verb[i] = strings.ReplaceAll(strings.ReplaceAll(arg, "PATH", path), "GOOD", goodDialogues(t))
	}
	c := quickest(mostTime, func() course { return command(t, verb...) })
	if c.code != a.code {
		t.Errorf("ended with %d, want exit %d: %s", c.code, a.code, c.text)
	}
	says := cmp.Or(a.says, a.file())
	if !strings.Contains(c.text, says) || !strings.Contains(c.text, a.want) || strings.Contains(c.text, "panic") {
		t.Errorf("it says %.500q, want the name %q and %q", c.text, says, a.want)
	}
	if c.used > mostTime {
		t.Errorf("it took %v of the processor", c.used)
	}
	if c.peak > mostBytes {
		t.Errorf("it took %d MiB", c.peak>>20)
	}
}

// course is how a command went.
type course struct {
	code int
	text string        // all it printed
	used time.Duration // of the processor
	peak int64         // bytes resident
}

// quickest runs a command again where it took longer than it may, up to twice, and is the run that took least: a processor that others
// want too takes longer for the same.
func quickest(most time.Duration, run func() course) course {
	best := run()
	for range 2 {
		if best.used <= most {
			break
		}
		if again := run(); again.used < best.used {
			best = again
		}
	}
	return best
}

// command runs the command line in a process of its own, in an empty folder.
func command(t *testing.T, args ...string) course {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	note := filepath.Join(t.TempDir(), "peak")
	cmd.Env = append(os.Environ(), asCommand+"="+note)
	cmd.Dir = t.TempDir()
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	hung := time.AfterFunc(120*time.Second, func() { cmd.Process.Kill() })
	err := cmd.Run()
	if !hung.Stop() {
		t.Fatal("it waits for ever")
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	c := course{code: cmd.ProcessState.ExitCode(), text: out.String(), used: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	text, err := os.ReadFile(note)
	if err == nil {
		c.peak, err = strconv.ParseInt(string(text), 10, 64)
	}
	if err != nil {
		t.Fatalf("it came to no end of its own: %v: %.2000s", err, c.text)
	}
	return c
}

// goodDialogues is a dialogue file that nothing is wrong with.
func goodDialogues(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "good.txt")
	if err := os.WriteFile(path, []byte("1 your persona: i like tea.\n2 hello\tme too\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTerminal: what data says reaches the terminal as text.
func TestTerminal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "talk.txt")
	const evil = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202e"
	talk := "1 your persona: i like " + evil + ".\n2 hello " + evil + "\tme\t\tme|you\n"
	if err := os.WriteFile(path, []byte(talk+talk), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, verb := range [][]string{{"data", "tasks", path}, {"data", "samples", path, "--cluster", "0"}, {"data", "samples", path, "--cluster", "0", "--json"},
		{"model", "inspect", evil + ".onnx"}, {"plan", "x.yaml" + evil}} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], verb...)
		cmd.Env = append(os.Environ(), asCommand+"="+filepath.Join(t.TempDir(), "peak"))
		out, _ := cmd.CombinedOutput() // some fail, which they say
		if len(out) == 0 || bytes.ContainsAny(out, "\x1b\x07\u009b\u202e") {
			t.Errorf("%q prints %q", verb, out)
		}
	}
}
