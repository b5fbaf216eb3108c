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
	cmd := exec.CommandContext(t.Context(), os.Args[0], verb...)
	note := filepath.Join(t.TempDir(), "peak")
	cmd.Env = append(os.Environ(), asCommand+"="+note)
	cmd.Dir = t.TempDir()
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	hung := time.AfterFunc(60*time.Second, func() { cmd.Process.Kill() })
	err := cmd.Run()
	if !hung.Stop() {
		t.Fatal("it waits for ever")
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok || exit.ExitCode() != a.code {
		t.Errorf("ended with %v, want exit %d: %s", err, a.code, &out)
	}
	says := cmp.Or(a.says, a.file())
	if text := out.String(); !strings.Contains(text, says) || !strings.Contains(text, a.want) || strings.Contains(text, "panic") {
		t.Errorf("it says %.500q, want the name %q and %q", text, says, a.want)
	}
	if used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(); used > mostTime {
		t.Errorf("it took %v of the processor", used)
	}
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatalf("it came to no end of its own: %v", err)
	}
	if peak, err := strconv.ParseInt(string(text), 10, 64); err != nil || peak > mostBytes {
		t.Errorf("it took %d MiB, error %v", peak>>20, err)
	}
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
