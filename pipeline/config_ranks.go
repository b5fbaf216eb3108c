package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Ranks is a list of task ranks, from 1, ascending. In YAML: "1-10", "1-3,7", 4 or [1, 3, 5].
type Ranks []int

// maxRank bounds a rank, so that a range cannot ask for all memory; the train file has about 1,100 clusters.
const maxRank = 100_000

func rankRange(first, last int) Ranks {
	var r Ranks
	for rank := first; rank <= last; rank++ {
		r = append(r, rank)
	}
	return r
}

// ParseRanks reads ranks and ranges separated by commas.
func ParseRanks(text string) (Ranks, error) {
	var r Ranks
	for _, part := range strings.Split(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		first, err := parseRank(low)
		if err != nil {
			return nil, err
		}
		last, err := parseRank(high)
		if err != nil {
			return nil, err
		}
		if last < first {
			return nil, fmt.Errorf("%q counts down", part)
		}
		r = append(r, rankRange(first, last)...)
	}
	return r, r.check()
}

func parseRank(text string) (int, error) {
	rank, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%q is no rank", text)
	}
	if rank < 1 || rank > maxRank {
		return 0, fmt.Errorf("rank %d is not between 1 and %d", rank, maxRank)
	}
	return rank, nil
}

// check sorts the ranks and refuses one that is impossible or there twice.
func (r Ranks) check() error {
	slices.Sort(r)
	for i, rank := range r {
		if rank < 1 || rank > maxRank {
			return fmt.Errorf("rank %d is not between 1 and %d", rank, maxRank)
		}
		if i > 0 && r[i-1] == rank {
			return fmt.Errorf("rank %d is there twice", rank)
		}
	}
	return nil
}

// String writes ranks as [ParseRanks] reads them.
func (r Ranks) String() string {
	var parts []string
	for i := 0; i < len(r); {
		j := i
		for j+1 < len(r) && r[j+1] == r[j]+1 {
			j++
		}
		part := strconv.Itoa(r[i])
		if j > i {
			part += "-" + strconv.Itoa(r[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// MarshalYAML writes ranks as their string.
func (r Ranks) MarshalYAML() (any, error) { return r.String(), nil }

// DecodeNode reads a string, a number or a list of numbers.
func (r *Ranks) DecodeNode(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		parsed, err := ParseRanks(n.Value)
		*r = parsed
		return err
	}
	list := Ranks{}
	if n.Kind != yaml.SequenceNode {
		return fmt.Errorf("it is no list of ranks")
	}
	if len(n.Content) > maxRank {
		return fmt.Errorf("%d ranks are too many", len(n.Content))
	}
	for _, item := range n.Content {
		rank, err := parseRank(item.Value)
		if err != nil {
			return err
		}
		list = append(list, rank)
	}
	*r = list
	return list.check()
}
