package exported

import (
	"fmt"
	"slices"
	"strings"

	"metalora/onnx"
)

// Rates are the dropout rates of training; zero: none.
type Rates struct {
	Hidden    float64 // of embeddings and of what each sublayer adds
	Attention float64 // of attention probabilities
	Head      float64 // of the classification head's inputs
}

// drop is a place where training drops elements: after the value that a node computes, or before the node reads x.
type drop struct {
	site string
	rate float64
	dims []any
	axis int // of the tokens, or of the rows where the place has but the first token of each; see [onnx.Model.DropFirst]
}

// Dropout returns the graph with dropout where PyTorch's models have it, as far as the structure shows it: after the
// embeddings' layer norm, on attention probabilities, on what a sublayer adds to the residual, and on the inputs of the
// head's layers. An exporter leaves no trace of dropout, so a graph that lacks such a place (its attention is one fused
// operator, say) cannot be trained with that rate, which is an error.
func (m *Model) Dropout(rates Rates) (*onnx.Model, error) {
	out := m.Graph.Clone()
	if rates == (Rates{}) {
		return out, nil
	}
	p, err := m.places(rates)
	if err != nil {
		return nil, err
	}
	g := out.Graph
	nodes, weights := g.Nodes, g.Inputs[len(g.Inputs)-len(m.Order):]
	g.Nodes, g.Inputs = nil, slices.Clone(g.Inputs[:len(g.Inputs)-len(m.Order)]) // masks stand before the weights
	b := onnx.NewBuilder(g)
	for _, w := range weights {
		b.Input(w.Name, w.Type)
	}
	g.Inputs = g.Inputs[:len(g.Inputs)-len(weights)]
	b.Reserve(nodes)
	for _, n := range nodes {
		p.write(b, out, n)
	}
	g.Inputs = append(g.Inputs, weights...)
	return out, nil
}

// places has the drops by the node they stand behind or before.
type places struct {
	after, before map[*onnx.Node]drop
}

// write appends a node with its drops.
func (p places) write(b *onnx.Builder, m *onnx.Model, n *onnx.Node) {
	c := *n
	if d, ok := p.before[n]; ok {
		c.Inputs = slices.Clone(n.Inputs)
		c.Inputs[0] = d.on(b, m, n.Input(0))
	}
	d, ok := p.after[n]
	if !ok {
		b.Graph.Nodes = append(b.Graph.Nodes, &c)
		return
	}
	c.Outputs = slices.Clone(n.Outputs)
	c.Outputs[0] = b.Fresh(n.Output(0) + ":kept")
	b.Graph.Nodes = append(b.Graph.Nodes, &c)
	b.Named(n.Output(0), "Identity", []string{d.on(b, m, c.Outputs[0])})
}

// on drops elements of v and multiplies the others. Where a graph computes the first tokens alone, the mask is what a mask of
// all tokens has for them.
func (d drop) on(b *onnx.Builder, m *onnx.Model, v string) string {
	if d.axis < 0 {
		return m.Dropout(b, v, d.site, d.rate, d.dims...)
	}
	kept := m.DropFirst(b, v, d.site, d.rate, d.axis, d.dims...)
	return b.Op("Mul", []string{kept, b.Scalar(float32(1 / (1 - d.rate)))})
}

// places finds where training drops something.
func (m *Model) places(rates Rates) (places, error) {
	p := places{map[*onnx.Node]drop{}, map[*onnx.Node]drop{}}
	info, err := onnx.Infer(m.Graph)
	if err != nil {
		return p, err
	}
	r := &rewriter{model: m.Graph, info: info}
	f := &finder{Model: m, x: r.index(), info: info}
	for _, class := range []struct {
		rate  float64
		find  func(rate float64, p places) (found bool)
		where string
	}{
		{rates.Hidden, f.embeddings, "a layer norm of the embeddings"},
		{rates.Hidden, f.residuals, "a linear layer before a residual sum"},
		{rates.Attention, f.attention, "attention probabilities [rows, heads, length, length]"},
		{rates.Head, f.head, "a layer of the classification head"},
	} {
		if class.rate > 0 && !class.find(class.rate, p) {
			return p, fmt.Errorf("the graph shows no place for dropout: found no %s; train it without dropout (model.dropout: 0)", class.where)
		}
	}
	return p, nil
}

// finder looks for the places.
type finder struct {
	*Model
	x    *index
	info map[string]onnx.ValueInfo
}

// embeddings are what the first layer norm gives, if what it reads comes out of tables alone.
func (f *finder) embeddings(rate float64, p places) bool {
	for _, n := range f.Graph.Graph.Nodes {
		if n.Op != "LayerNormalization" {
			continue
		}
		shape := f.info[n.Output(0)].Shape
		if !f.tables(n.Input(0)) || len(shape) == 0 {
			return false
		}
		site := strings.TrimSuffix(n.Input(1), ".LayerNorm.weight")
		p.after[n] = drop{site, rate, dims(shape), -1}
		return true
	}
	return false
}

// tables tells whether a value is a sum of rows of tables.
func (f *finder) tables(v string) bool {
	seen := map[string]bool{}
	for open := []string{v}; len(open) > 0; {
		v, open = open[0], open[1:]
		if seen[v] {
			continue
		}
		seen[v] = true
		n := f.x.makers[v]
		switch {
		case n == nil:
			return false
		case n.Op == "Add":
			open = append(open, n.Inputs...)
		case n.Op != "Gather" || f.Weights[n.Input(0)].Shape == nil:
			return false
		}
	}
	return true
}

// residuals are the outputs of linear layers that are added to something and normalised. DistilBERT's attention output,
// alone among them, is added as it is.
func (f *finder) residuals(rate float64, p places) (found bool) {
	for _, n := range f.Graph.Graph.Nodes {
		if n.Op != "LayerNormalization" {
			continue
		}
		sum := f.x.maker(n.Input(0), "Add")
		if sum == nil {
			continue
		}
		for _, v := range sum.Inputs {
			last, gemm := f.linear(v)
			if gemm == nil {
				continue
			}
			site, shape := strings.TrimSuffix(gemm.Input(1), ".weight"), f.info[last.Output(0)].Shape
			if !strings.HasSuffix(site, "attention.out_lin") {
				p.after[last] = drop{site, rate, dims(shape), firstOf(shape, 0)}
			}
			found = true
			break
		}
	}
	return found
}

// linear is the Gemm of the layer that computes v, and the layer's last node: the sum with the bias, where there is one. A
// Reshape back to [rows, length, width] is left aside.
func (f *finder) linear(v string) (last, gemm *onnx.Node) {
	if n := f.x.maker(v, "Reshape"); n != nil {
		v = n.Input(0)
	}
	last = f.x.makers[v]
	if n := f.x.maker(v, "Add"); n != nil {
		if _, bias := f.Weights[n.Input(1)]; bias {
			v = n.Input(0)
		}
	}
	if n := f.x.maker(v, "Gemm"); n != nil && f.Weights[n.Input(1)].Shape != nil {
		return last, n
	}
	return nil, nil
}

// firstOf is the axis for a place of this shape where it has the first token of each row alone, else -1.
func firstOf(shape onnx.Shape, axis int) int {
	if len(shape) == 2 && shape[0].Name == "rows" || len(shape) == 4 && shape[2].Size == 1 {
		return axis
	}
	return -1
}

// attention probabilities are what a Softmax gives of [rows, heads, length, length].
func (f *finder) attention(rate float64, p places) (found bool) {
	for _, n := range f.Graph.Graph.Nodes {
		shape := f.info[n.Output(0)].Shape
		if n.Op != "Softmax" || len(shape) != 4 || shape[2] != shape[3] && shape[2].Size != 1 || shape[1].Size < 1 {
			continue
		}
		p.after[n] = drop{f.attentionSite(n.Output(0)), rate, dims(shape), firstOf(shape, 2)}
		found = true
	}
	return found
}

// attentionSite names the place after the linear layer that reads what attention gives.
func (f *finder) attentionSite(v string) string {
	const steps = 12 // Softmax, a guard against NaN, product, transpose, some reshapes: no exporter writes more
	at := v
	for range steps {
		readers := f.x.readers[at]
		if len(readers) == 0 {
			break
		}
		n := readers[len(readers)-1]
		if n.Op == "Gemm" {
			layer := strings.TrimSuffix(n.Input(1), ".weight")
			return strings.TrimSuffix(strings.TrimSuffix(layer, ".output.dense"), ".out_lin")
		}
		at = n.Output(0)
	}
	return v
}

// head places are the inputs of the layer that gives the logits and of RoBERTa's dense layer before it; a pooler's input,
// which is no part of PyTorch's head, keeps all its elements.
func (f *finder) head(rate float64, p places) (found bool) {
	_, outer := f.linear(logits)
	for _, n := range f.Graph.Graph.Nodes {
		w, ok := f.Weights[n.Input(1)]
		if n.Op != "Gemm" || !ok || n != outer && n.Input(1) != "classifier.dense.weight" {
			continue
		}
		p.before[n] = drop{strings.TrimSuffix(n.Input(1), ".weight"), rate, []any{"rows", w.Shape[1]}, -1}
	}
	return outer != nil
}

// dims are a shape's, for declaring a mask; what Infer calls length*rows are the tokens.
func dims(s onnx.Shape) []any {
	list := make([]any, len(s))
	for i, d := range s {
		if d.Name == "length*rows" {
			d.Name = "tokens"
		}
		list[i] = d
	}
	return list
}
