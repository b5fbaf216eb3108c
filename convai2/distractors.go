package convai2

import (
	"fmt"
	"slices"

	"metalora/pipeline/rng"
)

// Mode says what becomes of the candidates that a file gives. Turns without candidates get drawn ones in every mode.
type Mode string

const (
	// Given leaves them as they are. In the validation file that scores held-out replies as distractors in training.
	Given Mode = "given"
	// Repair replaces the distractors of training turns that are held-out replies, and those of any turn that are
	// Forbidden, or the real reply once more. All other candidates stay.
	Repair Mode = "repair"
	// Redraw draws every turn's distractors anew, from the tasks' own dialogues: for retraining tasks whose file is also
	// the test tasks', so that no reply of a test dialogue is met in retraining.
	Redraw Mode = "redraw"
)

// DefaultDistractors makes 20 candidates of a turn, as many as the official files have.
const DefaultDistractors = 19

// Distractors say where wrong candidates come from.
//
// Drawn distractors are distinct replies from other personas' dialogues, drawn as often as they are said; where there are
// too few, the persona's other dialogues serve too. The real reply gets a random place among them. Two rules keep a
// text's mere age from giving the answer away: a training turn never scores a held-out reply, and a held-out turn draws
// from replies that no training turn may draw (held-out dialogues, and a fifth of the others set aside for it), as long as
// those suffice.
type Distractors struct {
	Mode  Mode   // "": Repair under Clean rules, Given under Published ones
	Count int    // drawn for a turn without candidates; 0: DefaultDistractors. A list that is redrawn keeps its length
	Seed  uint64 // of the streams, one a turn, named by TaskOptions.Name, dialogue and turn
	// Forbidden replies are no turn's distractors, but for Given lists: when making retraining tasks, the held-out
	// replies of the test tasks. The held-out replies of the tasks being made need not be named.
	Forbidden map[string]bool
}

func (o Distractors) check() error {
	if o.Mode != "" && o.Mode != Given && o.Mode != Repair && o.Mode != Redraw {
		return fmt.Errorf("distractors %q, want %s, %s or %s", string(o.Mode), Given, Repair, Redraw)
	}
	if o.Count < 0 {
		return fmt.Errorf("%d distractors", o.Count)
	}
	return nil
}

// mode is the mode in force under the clustering's rules.
func (o Distractors) mode(r Rules) Mode {
	switch {
	case o.Mode != "":
		return o.Mode
	case r == Published:
		return Given
	}
	return Repair
}

// drawer gives turns their candidates.
type drawer struct {
	TaskOptions
	ds      []*Dialogue
	mode    Mode
	heldOut map[string]bool // real replies of held-out turns, and the forbidden
	pools   pools
}

// fillCandidates completes the samples of all tasks.
func fillCandidates(ds []*Dialogue, c *Clustering, o TaskOptions, tasks []Task) error {
	w := drawer{TaskOptions: o, ds: ds, mode: o.Distractors.mode(c.Rules), heldOut: map[string]bool{}}
	for text := range o.Distractors.Forbidden {
		w.heldOut[text] = true
	}
	for _, t := range tasks {
		for _, s := range t.HeldOut {
			w.heldOut[w.replyOf(s)] = true
		}
	}
	w.pools = newPools(ds, c, tasks, &w)
	for i := range tasks {
		t := &tasks[i]
		if err := w.complete(t, t.Train, w.heldOut, w.pools.training); err != nil {
			return err
		}
		if err := w.complete(t, t.HeldOut, o.Distractors.Forbidden, w.pools.heldOut, w.pools.training); err != nil {
			return err
		}
	}
	return nil
}

// complete gives samples their candidates, none of them from the set bad.
func (w *drawer) complete(t *Task, samples []Sample, bad map[string]bool, from ...[]source) error {
	for i := range samples {
		s := &samples[i]
		if err := w.fill(t, s, from); err != nil {
			return err
		}
		if w.mode == Repair {
			if err := w.repair(t, s, bad, from); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *drawer) replyOf(s Sample) string { return w.ds[s.Dialogue].Turns[s.Turn].Self }

func (w *drawer) stream(s *Sample, purpose string) *rng.Stream {
	return rng.New(w.Distractors.Seed, purpose, w.Name, s.Dialogue, s.Turn)
}

// fill draws a sample's candidates where it has none or is to have others; the real reply goes to a random place.
func (w *drawer) fill(t *Task, s *Sample, from [][]source) error {
	given := s.Candidates != nil
	if given && w.mode != Redraw {
		return nil
	}
	count := w.Distractors.Count
	switch {
	case given:
		count = len(s.Candidates) - 1
	case count == 0:
		count = DefaultDistractors
	}
	stream, reply := w.stream(s, "distractors"), w.replyOf(*s)
	drawn, err := w.draw(s, count, []string{reply}, stream, from)
	if err != nil {
		return err
	}
	s.Gold = stream.IntN(count + 1)
	s.Candidates = slices.Insert(drawn, s.Gold, reply)
	t.Drawn++
	return nil
}

// repair replaces the distractors that are in the set bad or the real reply once more.
func (w *drawer) repair(t *Task, s *Sample, bad map[string]bool, from [][]source) error {
	var places []int
	for i, c := range s.Candidates {
		if i != s.Gold && (bad[c] || c == s.reply()) {
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		return nil
	}
	drawn, err := w.draw(s, len(places), s.Candidates, w.stream(s, "repair"), from)
	if err != nil {
		return err
	}
	s.Candidates = slices.Clone(s.Candidates) // the dialogue keeps its own
	for j, i := range places {
		s.Candidates[i] = drawn[j]
	}
	t.Repaired += len(places)
	return nil
}

// draw finds count distinct replies that are none of taken: from other personas as long as they have any, one pool
// after another.
func (w *drawer) draw(s *Sample, count int, taken []string, stream *rng.Stream, from [][]source) ([]string, error) {
	used := make(map[string]bool, count+len(taken))
	for _, text := range taken {
		used[text] = true
	}
	drawn := make([]string, 0, count+1)
	own := w.pools.persona[s.Dialogue]
	for _, anyPersona := range []bool{false, true} {
		for _, pool := range from {
			pick(pool, count-len(drawn), stream, func(r source) bool {
				if used[r.text] || r.dialogue == s.Dialogue || !anyPersona && w.pools.persona[r.dialogue] == own {
					return false
				}
				used[r.text] = true
				drawn = append(drawn, r.text)
				return true
			})
		}
	}
	if len(drawn) < count {
		return nil, fmt.Errorf("dialogue %d, turn %d: only %d of %d distractors can be drawn from other dialogues' replies",
			s.Dialogue, s.Turn, len(drawn), count)
	}
	return drawn, nil
}
