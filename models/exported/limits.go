package exported

import (
	"regexp"
	"slices"
	"strings"

	"metalora/onnx"
)

// Limits are what a graph says about what may be fed to it.
type Limits struct {
	Vocabulary int // rows of the table that is read by input_ids
	Segments   int // rows of the table that is read by token_type_ids; 0: the graph does not read them
	Positions  int // rows of the table of positions; 0: there is none
	Pad        int // the id that positions skip; -1: none does
	Words      string
	Place      string // the weights' names of the tables of words and positions
}

// Limits reads the bounds off the tables of the graph.
func (m *Model) Limits() Limits {
	l := Limits{Pad: -1}
	x := (&rewriter{model: m.Graph}).index()
	for _, n := range m.Graph.Graph.Nodes {
		table, ok := m.Weights[n.Input(0)]
		if n.Op == "Equal" {
			l.pad(x, n)
		}
		if n.Op != "Gather" || !ok || n.Int("axis", 0) != 0 {
			continue
		}
		switch ids := x.origin(n.Input(1)); {
		case ids == inputIDs:
			l.Words, l.Vocabulary = n.Input(0), table.Shape[0]
		case ids == tokenTypes:
			l.Segments = table.Shape[0]
		case strings.Contains(n.Input(0), "position"):
			l.Place, l.Positions = n.Input(0), table.Shape[0]
		}
	}
	return l
}

// pad notes the id that input_ids are compared with, if positions are counted by the comparison.
func (l *Limits) pad(x *index, n *onnx.Node) {
	id, ok := other(n, inputIDs)
	t := x.constants[id]
	if !ok || t == nil || t.Type != onnx.Int64 || len(t.Raw) != 8 {
		return
	}
	counts := slices.ContainsFunc(x.readers[n.Output(0)], func(n *onnx.Node) bool { return n.Op == "Not" || n.Op == "Cast" })
	for _, sum := range x.makers {
		if counts && sum.Op == "CumSum" {
			l.Pad = int(ints(t)[0])
		}
	}
}

// numbered is what the names of an encoder's layers have in common.
var numbered = regexp.MustCompile(`\.\d+\.`)

// Head names the weights behind the row's one vector: those of the classification head and of a pooler. Everything before
// has a vector for each token, but for the encoder's last layer where a graph computes no more of it than the head reads: that one
// is told by the number in its names or, where no name has one, ends in the graph's last layer norm.
func (m *Model) Head() (map[string]bool, error) {
	info, err := onnx.Infer(m.Graph)
	if err != nil {
		return nil, err
	}
	encoder := m.normed()
	head := map[string]bool{}
	for _, n := range m.Graph.Graph.Nodes {
		shape := info[n.Output(0)].Shape
		for _, v := range n.Inputs {
			if _, ok := m.Weights[v]; ok {
				inRow := !encoder(v) && len(shape) == 2 && shape[0].Name == "rows" && shape[1].Size >= 0
				before, seen := head[v]
				head[v] = inRow && (before || !seen)
			}
		}
	}
	return head, nil
}

// normed tells the weights that the last layer norm depends on, if no name has a layer's number; else the numbered ones.
func (m *Model) normed() func(weight string) bool {
	if slices.ContainsFunc(m.Order, numbered.MatchString) {
		return numbered.MatchString
	}
	needed, last := map[string]bool{}, false
	for _, n := range slices.Backward(m.Graph.Graph.Nodes) {
		first := n.Op == "LayerNormalization" && !last
		last = last || first
		if first || slices.ContainsFunc(n.Outputs, func(o string) bool { return o != "" && needed[o] }) {
			for _, v := range n.Inputs {
				needed[v] = true
			}
		}
	}
	return func(weight string) bool { return needed[weight] }
}
