package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"metalora/pipeline/golden"
)

const referencePage = "../../docs/reference/cli.md"

// TestReference: the page of all verbs and flags is what the commands say.
func TestReference(t *testing.T) {
	page := reference((&program{out: os.Stdout, err: os.Stderr}).root())
	golden.Compare(t, referencePage, page)
}

// reference is the page: a section for each verb.
func reference(root *cobra.Command) string {
	var page strings.Builder
	fmt.Fprint(&page, "# Commands\n\nWritten from the commands by `go test ./pipeline/cli -run Reference -update`; a test fails where they differ.\n\n",
		"Results go to standard output, progress to standard error. Every verb takes these too:\n\n```\n", root.PersistentFlags().FlagUsages(), "```\n\n",
		"Exit codes: 0 done, 1 failed (trying again may help), 2 wrong usage or an impossible configuration, 3 a bad input file, 4 the numbers broke\n",
		"(NaN), 75 stopped on request with the work saved. `metalora completion bash|zsh|fish|powershell` writes completions. With `NO_COLOR` set, nothing\nis coloured.\n")
	verbs(&page, root)
	return page.String()
}

func verbs(page *strings.Builder, parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "completion" {
			continue
		}
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		fmt.Fprintf(page, "\n## %s\n\n%s\n", c.CommandPath(), strings.ReplaceAll(text, "\n    ", "\n"))
		if !c.HasAvailableSubCommands() {
			fmt.Fprintf(page, "\n```\n%s\n\n%s```\n", c.UseLine(), c.NonInheritedFlags().FlagUsages())
		}
		if c.Example != "" {
			fmt.Fprintf(page, "\nExamples:\n\n```\n%s\n```\n", strings.ReplaceAll(strings.TrimSpace(c.Example), "\n  ", "\n"))
		}
		verbs(page, c)
	}
}

// TestCompletion: each shell's completions are written, and a shell that is here can read them.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			script := succeed(t, "completion", shell)
			if !strings.Contains(script, "__complete") {
				t.Fatalf("no completions:\n%s", script)
			}
			if path, err := exec.LookPath(shell); err == nil {
				cmd := exec.Command(path, "-n")
				cmd.Stdin = strings.NewReader(script)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			}
			if got := succeed(t, "__complete", "eval"); !strings.HasPrefix(got, "evaluate\t") {
				t.Errorf("completing eval: %q", got)
			}
		})
	}
}

// TestLoudness: quiet leaves standard error empty, verbose says every step, and both at once are refused.
func TestLoudness(t *testing.T) {
	dir := t.TempDir()
	smallModel(t, dir+"/base", dir+"/dialogues.txt")
	said := func(flags ...string) string {
		t.Helper()
		var out, err bytes.Buffer
		args := append([]string{"tune", "--model", dir + "/base", "--data", dir + "/dialogues.txt", "--set", "adapt.epochs=1", "--set", "adapt.batch=2"}, flags...)
		if code := Run(t.Context(), args, strings.NewReader(""), &out, &err); code != 0 || out.Len() == 0 {
			t.Fatalf("exit code %d\n%s", code, &err)
		}
		return err.String()
	}
	if text := said("--quiet"); text != "" {
		t.Errorf("quiet says %q", text)
	}
	if normal, verbose := strings.Count(said(), "step "), strings.Count(said("--verbose"), "step "); normal > 1 || verbose < 6 {
		t.Errorf("%d lines of steps, verbose %d", normal, verbose)
	}
	if code, _, text := invoke(t, "", "doctor", "-q", "-v"); code != 2 || !strings.Contains(text, "contradict") {
		t.Errorf("exit code %d: %s", code, text)
	}
}
