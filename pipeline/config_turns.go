package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// AllTurns stands for every training turn of a task.
const AllTurns = -1

// TurnCounts are the points of a learning curve: numbers of training turns, ascending, [AllTurns] last. In YAML:
// [0, 5, 10, all].
type TurnCounts []int

// DecodeNode reads a number, "all", or a list of them.
func (t *TurnCounts) DecodeNode(n *yaml.Node) error {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	counts := TurnCounts{}
	for _, item := range items {
		count, err := parseTurns(item)
		if err != nil {
			return err
		}
		if slices.Contains(counts, count) {
			return fmt.Errorf("%s is there twice", item.Value)
		}
		counts = append(counts, count)
	}
	slices.SortFunc(counts, func(a, b int) int { return cmp.Compare(uint(a), uint(b)) }) // as an unsigned number, AllTurns is the largest
	*t = counts
	return nil
}

func parseTurns(n *yaml.Node) (int, error) {
	if n.Kind == yaml.ScalarNode && n.Value == "all" {
		return AllTurns, nil
	}
	count, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || count < 0 {
		return 0, fmt.Errorf("%q is no number of turns: 0 or more, or all", n.Value)
	}
	return count, nil
}

// MarshalYAML writes counts as [TurnCounts.DecodeNode] reads them.
func (t TurnCounts) MarshalYAML() (any, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, count := range t {
		value := strconv.Itoa(count)
		if count == AllTurns {
			value = "all"
		}
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: value})
	}
	return list, nil
}
