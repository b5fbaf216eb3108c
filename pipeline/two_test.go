package pipeline

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTwoProcesses: two processes on one run compute each unit once. The one that finds a unit taken says by whom and does
// the others.
func TestTwoProcesses(t *testing.T) {
	if dir := os.Getenv("METALORA_TEST_TWO"); dir != "" {
		ex := &fake{before: func(u *Unit, _ string) error {
			if u.Index > 0 {
				return nil
			}
			fmt.Println("holding")
			_, err := io.Copy(io.Discard, os.Stdin) // until the other process is through
			return err
		}}
		if err := open(t, dir).Run(t.Context(), ex, nil, Quiet{}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("ran:", strings.Join(ex.ran, ";"))
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestTwoProcesses$")
	child.Env = append(os.Environ(), "METALORA_TEST_TWO="+dir)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, len("holding\n"))); err != nil {
		t.Fatal(err)
	}
	e, ex := open(t, dir), &fake{}
	var locked lockedError
	if err := e.Run(t.Context(), ex, nil, Quiet{}); !errors.As(err, &locked) || !strings.Contains(err.Error(), fmt.Sprint("process ", child.Process.Pid)) {
		t.Errorf("got %v, want who holds the unit", err)
	}
	if diff := cmp.Diff([]string{e.Units[1].Label, e.Units[3].Label}, ex.ran); diff != "" {
		t.Error(diff)
	}
	in.Close()
	said, err := io.ReadAll(out)
	if err := errors.Join(err, child.Wait()); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if want := "ran: " + e.Units[0].Label + ";" + e.Units[2].Label + "\n"; !strings.Contains(string(said), want) {
		t.Errorf("the other process said %q, want %q", said, want)
	}
	if got := states(t, e); got != "[done done done done]" {
		t.Error(got)
	}
	if problems, err := Verify(dir); err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, workFolder)); len(left) != 0 {
		t.Errorf("left in work: %v", left)
	}
}
