package convai2

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDialogues(t *testing.T) {
	text := "1 your persona: i ski: a lot.\n2 partner's persona: i swim.\n3 hi\tyes\t\tno|yes|yes\n4 a b \tc\n" +
		"1 __SILENCE__\tgrüß dich\r\n2 x\ty"
	want := []*Dialogue{
		{Index: 0, Line: 1, File: "test", Persona: []string{"i ski: a lot."}, PartnerPersona: []string{"i swim."},
			Turns: []Turn{{"hi", "yes", []string{"no", "yes", "yes"}, 3}, {"a b ", "c", nil, 4}}},
		{Index: 1, Line: 5, File: "test", Turns: []Turn{{Silence, "grüß dich", nil, 5}, {"x", "y", nil, 6}}},
	}
	equal(t, parse(t, text), want)
	equal(t, parse(t, "\ufeff"+text), want)
	equal(t, len(parse(t, "")), 0)
}

func TestDialoguesErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"starts late", "2 a\tb\n", "f:1: line is numbered 2, want 1"},
		{"gap", "1 a\tb\n3 a\tb\n", "f:2: line is numbered 3, want 2, or 1 for a new dialogue"},
		{"repeated", "1 a\tb\n2 a\tb\n2 a\tb\n", "f:3: line is numbered 2, want 3, or 1 for a new dialogue"},
		{"zero", "0 a\tb\n", `f:1: line is numbered "0"`},
		{"leading zero", "01 a\tb\n", `f:1: line is numbered "01"`},
		{"huge", "99999999999999999999 a\tb\n", `f:1: line is numbered "99999999999999999999"`},
		{"negative", "-1 a\tb\n", `f:1: line begins with "-1", want its number and a blank`},
		{"no number", "hello there\n", `f:1: line begins with "hello", want its number and a blank`},
		{"empty line", "1 a\tb\n\n", "f:2: empty line"},
		{"number alone", "1 a\tb\n2", "f:2: truncated line: nothing after its number"},
		{"number and blank", "1 a\tb\n2 \n", "f:2: truncated line: nothing after its number"},
		{"no tab", "1 a\tb\n2 hello\n", "f:2: neither a persona sentence nor a turn: no tab between partner and reply"},
		{"empty persona", "1 your persona: \n2 a\tb\n", "f:1: empty persona sentence"},
		{"late persona", "1 a\tb\n2 your persona: x.\n", "f:2: persona sentence after the first turn"},
		{"empty reply", "1 a\t\n", "f:1: empty reply"},
		{"blank reply with candidates", "1 a\t \t\tb|c\n", "f:1: empty reply"},
		{"empty partner", "1 \tb\n", "f:1: empty utterance of the partner (__SILENCE__ where the persona speaks first)"},
		{"three columns", "1 a\tb\t\n", "f:1: turn has 3 columns, want 2, or 4 with candidates"},
		{"reward", "1 a\tb\t1\ta|b\n", `f:1: third column holds "1", want it empty`},
		{"no reply among candidates", "1 a\tb\t\tc|d\n", `f:1: reply "b" is not among the 2 candidates`},
		{"empty candidate", "1 a\tb\t\tb||c\n", "f:1: candidate 2 is empty"},
		{"empty candidates", "1 a\tb\t\t\n", "f:1: candidate 1 is empty"},
		{"no turn", "1 your persona: x.\n1 a\tb\n", "f:2: dialogue that begins in line 1 ends without a turn"},
		{"no turn at the end", "1 a\tb\n1 your persona: x.\n", "f:2: dialogue that begins in line 2 ends without a turn"},
		{"not UTF-8", "1 a\tb\n2 a\t\xff\n", "f:2: text is not valid UTF-8"},
		{"long line", "1 a\t" + strings.Repeat("x", MaxLine), "f:1: line longer than 1048576 bytes"},
		{"long dialogue", repeatTurn(17, MaxLine-20), "f:17: dialogue longer than 16777216 bytes"},
		{"many turns", repeatTurn(MaxTurns+1, 1), "f:10001: dialogue longer than 10000 turns"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := firstError(strings.NewReader(c.text))
			if got == nil || got.Error() != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func repeatTurn(n, size int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d a\t%s\n", i+1, strings.Repeat("x", size))
	}
	return b.String()
}

func firstError(r io.Reader) error {
	for _, err := range Dialogues(r, "f") {
		if err != nil {
			return err
		}
	}
	return nil
}

// endless is a file that never ends: one dialogue after another.
type endless struct{ pending []byte }

func (e *endless) Read(p []byte) (int, error) {
	if len(e.pending) == 0 {
		e.pending = bytes.Repeat([]byte("1 a\tb\n2 a\tb\n"), 1000)
	}
	n := copy(p, e.pending)
	e.pending = e.pending[n:]
	return n, nil
}

func TestDialoguesStreams(t *testing.T) {
	n := 0
	for _, err := range Dialogues(&endless{}, "endless") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 100_000 {
			break
		}
	}
	equal(t, n, 100_000)
}

func TestReadFileErrors(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.txt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, dir, filepath.Join(dir, "absent.txt")} {
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names it", path, err)
		}
	}
}

func TestOfficialFiles(t *testing.T) {
	for _, c := range []struct {
		name                                 string
		dialogues, turns, candidates, silent int
		partner                              bool
	}{
		{"valid_self_original.txt", 1000, 7801, 20, 0, false},
		{"valid_both_original_no_cands.txt", 1000, 7801, 0, 0, true},
		{"train_part_self_original_no_cands.txt", 4710, 33630, 0, 2355, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ds := readShared(t, c.name)
			all, silent := 0, 0
			for _, d := range ds {
				all += len(d.Turns)
				if (d.PartnerPersona != nil) != c.partner || len(d.Persona) < 3 {
					t.Errorf("dialogue %d: %d and %d persona sentences", d.Index, len(d.Persona), len(d.PartnerPersona))
				}
				for _, turn := range d.Turns {
					if turn.Partner == Silence {
						silent++
					}
					if len(turn.Candidates) != c.candidates {
						t.Errorf("line %d: %d candidates", turn.Line, len(turn.Candidates))
					}
				}
			}
			equal(t, []int{len(ds), all, silent}, []int{c.dialogues, c.turns, c.silent})
		})
	}
}

// TestWriteOfficialFiles: what we write from what we read is the file, byte for byte.
func TestWriteOfficialFiles(t *testing.T) {
	for _, name := range []string{"valid_self_original.txt", "valid_both_original_no_cands.txt", "train_part_self_original_no_cands.txt"} {
		t.Run(name, func(t *testing.T) {
			ds := readShared(t, name)
			want, err := os.ReadFile(shared(t, "data/convai2/"+name))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := Write(&got, ds); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Error("the file written differs from the file read")
			}
		})
	}
}

// TestTruncation cuts a file with candidates at every byte: nothing crashes, and a cut inside a line is an error unless it
// leaves a line that is right by itself.
func TestTruncation(t *testing.T) {
	text := "1 your persona: i ski.\n2 hi\tyes\t\tno|yes\n"
	for n := range len(text) {
		err := firstError(strings.NewReader(text[:n]))
		// Right as they stand: nothing, the turn without the candidates, and all but the last line end.
		fine := n == 0 || n == len(text)-1 || strings.HasSuffix(text[:n], "\ty") || strings.HasSuffix(text[:n], "\tye") ||
			strings.HasSuffix(text[:n], "\tyes")
		if (err == nil) != fine {
			t.Errorf("cut at %d, %q: %v", n, text[:n], err)
		}
	}
}

func FuzzDialogues(f *testing.F) {
	f.Add("1 your persona: a.\n2 partner's persona: b.\n3 hi\tyes\t\tno|yes\n1 __SILENCE__\tc\n")
	f.Add("1 a\tb\n3 c\td\n")
	f.Add("2\n\x00\xff")
	f.Fuzz(func(t *testing.T, text string) {
		var ds []*Dialogue
		for d, err := range Dialogues(strings.NewReader(text), "fuzz") {
			if err != nil {
				if d != nil || !strings.HasPrefix(err.Error(), "fuzz:") {
					t.Errorf("dialogue %v with error %v", d, err)
				}
				return
			}
			if _, err := Samples(d); err != nil {
				t.Errorf("samples of what was read: %v", err)
			}
			ds = append(ds, d)
		}
		var written bytes.Buffer
		if err := Write(&written, ds); err != nil {
			// A carriage return inside a text can be read but is not written.
			if !strings.Contains(text, "\r") {
				t.Errorf("writing what was read: %v", err)
			}
			return
		}
		for d, err := range Dialogues(&written, "again") {
			if err != nil {
				t.Fatal(err)
			}
			d.File, d.Line = ds[d.Index].File, ds[d.Index].Line
			for i := range d.Turns {
				d.Turns[i].Line = ds[d.Index].Turns[i].Line
			}
			equal(t, d, ds[d.Index])
		}
	})
}
