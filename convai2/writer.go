package convai2

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Write writes dialogues in the official line format: personas, then turns, candidates where there are any. What the
// format cannot hold (tabs, line breaks, a "|" in a candidate, empty texts) is an error.
func Write(w io.Writer, ds []*Dialogue) error {
	out := bufio.NewWriter(w)
	for _, d := range ds {
		if err := writeDialogue(out, d); err != nil {
			return fmt.Errorf("writing dialogue %d: %w", d.Index, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing dialogues: %w", err)
	}
	return nil
}

func writeDialogue(w io.Writer, d *Dialogue) error {
	if len(d.Turns) == 0 {
		return errors.New("no turn in it")
	}
	number := 0
	line := func(texts ...string) error {
		number++
		_, err := fmt.Fprintf(w, "%d %s\n", number, strings.Join(texts, ""))
		return err
	}
	for mark, sentences := range map[string][]string{selfMark: d.Persona, partnerMark: d.PartnerPersona} {
		if err := writable("", sentences...); err != nil {
			return fmt.Errorf("sentence after %q: %w", mark, err)
		}
	}
	for _, s := range d.Persona {
		if err := line(selfMark, " ", s); err != nil {
			return err
		}
	}
	for _, s := range d.PartnerPersona {
		if err := line(partnerMark, " ", s); err != nil {
			return err
		}
	}
	for i, t := range d.Turns {
		if err := writableTurn(t); err != nil {
			return fmt.Errorf("turn %d: %w", i, err)
		}
		texts := []string{t.Partner, "\t", t.Self}
		if t.Candidates != nil {
			texts = append(texts, "\t\t", strings.Join(t.Candidates, "|"))
		}
		if err := line(texts...); err != nil {
			return err
		}
	}
	return nil
}

func writableTurn(t Turn) error {
	if err := writable("", t.Partner, t.Self); err != nil {
		return err
	}
	if err := writable("|", t.Candidates...); err != nil {
		return err
	}
	if t.Candidates != nil && lastIndex(t.Candidates, t.Self) < 0 {
		return errMissingReply(t)
	}
	return nil
}

// writable says whether the format can hold the texts; forbidden are characters it cannot hold beside tabs and line breaks.
func writable(forbidden string, texts ...string) error {
	for _, t := range texts {
		if strings.TrimSpace(t) == "" {
			return errors.New("empty text")
		}
		if strings.ContainsAny(t, "\t\r\n"+forbidden) {
			return fmt.Errorf("%s has a character that separates", quote(t))
		}
	}
	return nil
}
