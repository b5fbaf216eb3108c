package pipeline

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"metalora/eval"
	"metalora/pipeline/confined"
)

// Bounds of what results say, which may be a stranger's.
const (
	mostCount = 1 << 48 // of turns, tokens, weights: no training comes near, and sums over thousands of units stay numbers
	maxText   = 4 << 10 // bytes of one text: the longest note is a sentence
	maxNotes  = 10_000  // of a unit: it has one for each check of the data and fold
)

// decode reads a record of a run's folder. It is weighed before memory is taken: a list of empty objects takes many times its bytes, and
// a text as many again.
func decode(data []byte, v any) error {
	if err := confined.CheckJSON(data, maxRecordEntries); err != nil {
		return err
	}
	if n := longestText(data); n > maxText {
		return fmt.Errorf("a text of %d bytes, and at most %d are read", n, maxText)
	}
	return json.Unmarshal(data, v)
}

// longestText is the size of the longest string in a JSON text, as it stands there.
func longestText(data []byte) (most int) {
	for at := 0; at < len(data); at++ {
		if data[at] != '"' {
			continue
		}
		from := at
		for at++; at < len(data) && data[at] != '"'; at++ {
			if data[at] == '\\' {
				at++
			}
		}
		most = max(most, at-from-1)
	}
	return most
}

// UnmarshalJSON reads results and holds them against what any results can be, whosever they are. Long lists are checked one by one, so
// that the first entry that cannot be ends it.
func (r *Result) UnmarshalJSON(data []byte) error {
	type plain Result
	lists := struct {
		*plain
		Notes  *notes  `json:"notes"`
		Epochs *epochs `json:"epochs"`
		Turns  *turns  `json:"turns"`
	}{(*plain)(r), (*notes)(&r.Notes), (*epochs)(&r.Epochs), (*turns)(&r.Turns)}
	if err := json.Unmarshal(data, &lists); err != nil {
		return err
	}
	return r.checkCounts()
}

type (
	notes  []string
	epochs []eval.Epoch
	turns  []eval.TurnScore
)

func (n *notes) UnmarshalJSON(data []byte) error {
	return each(data, (*[]string)(n), func(i int, _ string) error {
		if i == maxNotes {
			return fmt.Errorf("more than %d notes", maxNotes)
		}
		return nil
	})
}

func (e *epochs) UnmarshalJSON(data []byte) error {
	last := -1 // of a base that nothing adapts, the only epoch has number 0
	return each(data, (*[]eval.Epoch)(e), func(_ int, x eval.Epoch) error {
		if x.Epoch <= last || x.Epoch > mostCount {
			return fmt.Errorf("epoch %d comes after epoch %d", x.Epoch, last)
		}
		last = x.Epoch
		if x.Loss < -1 { // losses are not below zero, but for rounding
			return fmt.Errorf("epoch %d: loss %g", x.Epoch, x.Loss)
		}
		if err := x.HeldOut.Check(); err != nil {
			return fmt.Errorf("epoch %d: %w", x.Epoch, err)
		}
		return nil
	})
}

func (t *turns) UnmarshalJSON(data []byte) error {
	seen := map[[2]int]bool{}
	return each(data, (*[]eval.TurnScore)(t), func(_ int, x eval.TurnScore) error {
		place := [2]int{x.Dialogue, x.Turn}
		if x.Dialogue < 0 || x.Turn < 0 || seen[place] {
			return fmt.Errorf("dialogue %d, turn %d: it is negative, or comes twice", x.Dialogue, x.Turn)
		}
		seen[place] = true
		return eval.CheckScores([]eval.TurnScore{x})
	})
}

// each decodes a list entry by entry. A null leaves it as it is.
func each[T any](data []byte, to *[]T, check func(i int, x T) error) error {
	if string(data) == "null" {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if open, err := decoder.Token(); err != nil || open != json.Delim('[') {
		return errors.Join(err, json.Unmarshal(data, to)) // which says what is wrong
	}
	*to = nil
	for i := 0; decoder.More(); i++ {
		var x T
		err := decoder.Decode(&x)
		if err == nil {
			err = check(i, x)
		}
		if err != nil {
			return err
		}
		*to = append(*to, x)
	}
	return nil
}

// checkCounts finds a number of things that there cannot be.
func (r *Result) checkCounts() error {
	for _, c := range []struct {
		name  string
		value int
	}{
		{"fold", r.Fold}, {"parameters", r.Parameters}, {"train_turns", r.TrainTurns}, {"held_out_turns", r.HeldOutTurns}, {"steps", r.Steps},
		{"tokens", r.Tokens}, {"skipped", r.Skipped}, {"cut", r.Cut}, {"kept", r.Kept}, {"limit", r.Limit},
	} {
		if c.value < 0 || c.value > mostCount {
			return fmt.Errorf("%s is %d", c.name, c.value)
		}
	}
	if r.RateFactor < 0 {
		return fmt.Errorf("rate_factor is %g", r.RateFactor)
	}
	if r.Kept > 0 && r.keptEpoch() == nil {
		return fmt.Errorf("kept is %d, of which epoch there are no numbers", r.Kept)
	}
	return nil
}

// whole is the error that results are not those of a unit that has ended.
func (r *Result) whole() error {
	if r.Unit == "" {
		return errors.New("it names no unit")
	}
	if r.Kind != KindAdapt {
		return nil // without training nothing is scored
	}
	if len(r.Epochs) == 0 {
		return errors.New("no epoch was scored")
	}
	if len(r.Turns) != r.HeldOutTurns {
		return fmt.Errorf("held_out_turns is %d, and %d turns were scored", r.HeldOutTurns, len(r.Turns))
	}
	return eval.Record{Epochs: r.Epochs, Turns: r.Turns}.Check()
}

// of is the error that results are another unit's.
func (r *Result) of(u *Unit) error {
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"unit", r.Unit, u.ID}, {"kind", r.Kind, u.Kind}, {"method", r.Method, u.Method}, {"seed", r.Seed, u.Seed}, {"family", r.Family, u.Family},
		{"task", r.Task, u.Name()}, {"fold", r.Fold, u.Fold}, {"limit", r.Limit, max(0, u.Turns)},
	} {
		if c.got != c.want {
			return fmt.Errorf("its %s is %.100q, want %q", c.name, fmt.Sprint(c.got), fmt.Sprint(c.want))
		}
	}
	if was := cmp.Or(r.RateFactor, 1); u.Kind == KindRetrain && was != u.RateFactor { // 0 stands for 1
		return fmt.Errorf("its rate_factor is %g, want %g", r.RateFactor, u.RateFactor)
	}
	return nil
}
