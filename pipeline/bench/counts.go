package bench

import (
	"fmt"
	"io"
	"text/tabwriter"

	"metalora/pipeline/train"
)

// Counted is what a case costs as counted, not timed: the same on every machine.
type Counted struct {
	Case string `json:"case"`
	train.Cost
}

// Counts is the cost of each case's turn.
func Counts(cases []Case) ([]Counted, error) {
	var all []Counted
	for _, c := range cases {
		spec, err := newSpec(c.Config, c.Trains, c.Rank, c.Dropout)
		if err != nil {
			return nil, err
		}
		cost, err := spec.Cost(c.turn())
		if err != nil {
			return nil, fmt.Errorf("counting %s: %w", c.Name, err)
		}
		all = append(all, Counted{c.Name, cost})
	}
	return all, nil
}

// Padding is the share of padding among the tokens that a case computes for the real turns of the first dialogues of data (see
// [PeerOptions]).
func Padding(data string, dialogues int, c Case) (float64, error) {
	turns, err := peerTurns(data, dialogues)
	if err != nil {
		return 0, err
	}
	spec, err := newSpec(c.Config, c.Trains, c.Rank, c.Dropout)
	if err != nil {
		return 0, err
	}
	spec.NoKernels = c.NoKernels
	real, computed, err := spec.Tokens(turns)
	return 1 - float64(real)/float64(computed), err
}

// WriteCounts prints counts as a Markdown table, bytes in MiB.
func WriteCounts(w io.Writer, counts []Counted) error {
	out := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(out, "| case\t| nodes\t| runs\t| GFLOP\t| weights MiB\t| activations MiB\t| nodes unknown\t|")
	fmt.Fprintln(out, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, c := range counts {
		fmt.Fprintf(out, "| %s\t| %d\t| %d\t| %.3f\t| %.1f\t| %.1f\t| %d\t|\n", c.Case, c.Nodes/c.Runs, c.Runs, float64(c.Flops)/1e9, mib(c.Weights),
			mib(c.Activations), c.Unknown/c.Runs)
	}
	return out.Flush()
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
