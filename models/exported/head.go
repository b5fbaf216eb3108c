package exported

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"metalora/onnx"
)

// head is how a family's sequence classifier ends in Hugging Face's library: logits = outer(activation(inner(x))), x the
// first token's state.
type head struct {
	prefix     string // of the encoder's weights; a bare encoder's names lack it
	inner      string
	pooler     bool // inner is the encoder's pooler: where the file gives pooled states, it is there already
	activation string
	outer      string
	fits       func(*onnx.Graph) bool
}

// heads has them in the order in which a bare encoder is taken for one's. RoBERTa counts positions past pads, DistilBERT's
// layers have names of their own.
var heads = []head{
	{"roberta", "classifier.dense", false, "Tanh", "classifier.out_proj", func(g *onnx.Graph) bool {
		return slices.ContainsFunc(g.Nodes, func(n *onnx.Node) bool { return n.Op == "CumSum" && n.Domain == "" })
	}},
	{"distilbert", "pre_classifier", false, "Relu", "classifier", func(g *onnx.Graph) bool {
		return slices.ContainsFunc(g.Initializers, func(t *onnx.Tensor) bool { return strings.Contains(t.Name, ".attention.out_lin.") })
	}},
	{"bert", "bert.pooler.dense", true, "Tanh", "classifier", func(*onnx.Graph) bool { return true }},
}

// labels is how many logits a new head gives: Hugging Face's number where nobody says another.
const labels = 2

// unprefixed is a bare encoder's name of a weight.
var unprefixed = regexp.MustCompile(`^(embeddings|encoder|transformer|pooler)\.`)

// addHead ends a bare encoder, whose outputs are the states of all tokens and perhaps a pooled one for each row, in the
// classification head of its family. The head's weights are zeros here, and have no values in the [Model].
func (r *rewriter) addHead() error {
	g := r.model.Graph
	states, pooled := r.states()
	if states == nil {
		return fmt.Errorf("none of its outputs %s is logits [rows, labels] or states [rows, length, width]: export the model with its classification head, or bare", outputsOf(g))
	}
	h := heads[slices.IndexFunc(heads, func(h head) bool { return h.fits(g) })]
	b := onnx.NewBuilder(g)
	b.Reserve(g.Nodes)
	width := r.info[states.Name].Shape[2].Size
	if err := r.plausible(width); err != nil {
		return fmt.Errorf("output %q: %w", states.Name, err)
	}
	x := ""
	if h.pooler && pooled != nil {
		x = pooled.Name
	} else {
		first := b.Op("Gather", []string{states.Name, b.Int(0)}, onnx.IntAttr("axis", 1))
		x = b.Op(h.activation, []string{r.fresh(b, h.inner, first, b.Fresh(h.inner), width, width)})
	}
	r.fresh(b, h.outer, x, logits, width, labels)
	g.Outputs = []onnx.ValueInfo{{Name: logits, Type: onnx.Float, Shape: onnx.Dims("rows", labels)}}
	r.names.prefix = h.prefix + "."
	r.notes = append(r.notes, "no classification head: training draws a fresh one, as "+h.prefix+" has it")
	return nil
}

// states finds the outputs of a bare encoder: every token's state, and a state of each row; nil where there is none.
func (r *rewriter) states() (tokens, rows *onnx.ValueInfo) {
	for i, o := range r.model.Graph.Outputs {
		s := r.info[o.Name].Shape
		switch {
		case o.Name == logits:
			return nil, nil // of each token: a language model's, or a token classifier's
		case tokens == nil && len(s) == 3 && s[0].Name == "rows" && isToken(s, 1) && s[2].Size > 0:
			tokens = &r.model.Graph.Outputs[i]
		case rows == nil && len(s) == 2 && s[0].Name == "rows" && s[1].Size > 0:
			rows = &r.model.Graph.Outputs[i]
		}
	}
	if tokens != nil && rows != nil && r.info[rows.Name].Shape[1] != r.info[tokens.Name].Shape[2] {
		rows = nil
	}
	return tokens, rows
}

// plausible refuses what cannot be an encoder's width: as many numbers for a token as there are words are a language model's,
// and an encoder has several matrices [width, width].
func (r *rewriter) plausible(width int64) error {
	x, elements := r.index(), int64(0)
	for _, t := range r.model.Graph.Initializers {
		elements += int64(len(t.Raw)) / 4
		for _, n := range x.readers[t.Name] {
			if n.Op == "Gather" && n.Input(0) == t.Name && x.origin(n.Input(1)) == inputIDs && len(t.Dims) > 0 && t.Dims[0] == width {
				return fmt.Errorf("it has a number for each of %d words, as a language model's has: export the model with its classification head, or bare", width)
			}
		}
	}
	if width > elements/width {
		return fmt.Errorf("%d numbers for each token are more than its weights can make", width)
	}
	return nil
}

// fresh appends a linear layer that the file does not have, from x to y.
func (r *rewriter) fresh(b *onnx.Builder, module, x, y string, in, out int64) string {
	weight := &onnx.Tensor{Name: module + ".weight", Type: onnx.Float, Dims: []int64{out, in}, Raw: make([]byte, 4*in*out)}
	bias := &onnx.Tensor{Name: module + ".bias", Type: onnx.Float, Dims: []int64{out}, Raw: make([]byte, 4*out)}
	r.model.Graph.Initializers = append(r.model.Graph.Initializers, weight, bias)
	r.drawn = append(r.drawn, weight.Name, bias.Name)
	return b.Named(y, "Gemm", []string{x, weight.Name, bias.Name}, onnx.IntAttr("transB", 1))
}

func outputsOf(g *onnx.Graph) string {
	var names []string
	for _, o := range g.Outputs {
		names = append(names, o.Name)
	}
	return strings.Join(names, ", ")
}
