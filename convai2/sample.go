package convai2

import (
	"fmt"
	"slices"
	"strings"
)

// Sample is one turn as a model sees it.
type Sample struct {
	Dialogue   int      `json:"dialogue"` // index in the file, from 0
	Turn       int      `json:"turn"`     // in the dialogue, from 0
	Context    string   `json:"context"`  // every utterance so far, the partner's of this turn last
	Candidates []string `json:"candidates"`
	Gold       int      `json:"gold"` // the real reply's place among the candidates: the last one equal to it
}

// Samples makes a sample of every turn that has candidates, utterances joined by nothing at all, as published. A reply
// missing among its candidates is an error naming file and line.
func Samples(d *Dialogue) ([]Sample, error) { return SamplesJoined(d, "") }

// SamplesJoined is Samples with a separator between the utterances.
func SamplesJoined(d *Dialogue, separator string) ([]Sample, error) {
	all, err := skeletons(d, separator)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(s Sample) bool { return s.Candidates == nil }), nil
}

// skeletons makes a sample of every turn; where the file has no candidates it has none and its Gold is -1. A context is
// the beginning of the whole dialogue's text, so all of them share one string.
func skeletons(d *Dialogue, separator string) ([]Sample, error) {
	var text strings.Builder
	ends := make([]int, len(d.Turns))
	samples := make([]Sample, len(d.Turns))
	for i, t := range d.Turns {
		if i > 0 {
			text.WriteString(separator)
		}
		text.WriteString(t.Partner)
		ends[i] = text.Len()
		text.WriteString(separator)
		text.WriteString(t.Self)
		samples[i] = Sample{Dialogue: d.Index, Turn: i, Candidates: t.Candidates, Gold: lastIndex(t.Candidates, t.Self)}
		if t.Candidates != nil && samples[i].Gold < 0 {
			return nil, fmt.Errorf("making samples: %s:%d: %w", d.File, t.Line, errMissingReply(t))
		}
	}
	whole := text.String()
	for i := range samples {
		samples[i].Context = whole[:ends[i]]
	}
	return samples, nil
}

func lastIndex(texts []string, text string) int {
	for i, t := range slices.Backward(texts) {
		if t == text {
			return i
		}
	}
	return -1
}

// reply is the text of the real reply.
func (s Sample) reply() string { return s.Candidates[s.Gold] }
