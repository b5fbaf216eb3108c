package models

import (
	"math"

	"metalora/onnx"
)

// Dropout has the rates at which a graph drops elements while it is trained. The zero value drops nothing.
type Dropout struct {
	Hidden    float64 // of embeddings and of what each sublayer adds
	Attention float64 // of attention probabilities
	Head      float64 // of the classification head's two inputs
}

// Dropout has the rates that the configuration gives for training.
func (c Config) Dropout() Dropout {
	return Dropout{c.HiddenDropoutProb, c.AttentionProbsDropoutProb, c.HeadDropout()}
}

// Forward builds the graph of the family's class for sequence classification.
// Activations are [tokens, hidden] with tokens = rows·length, so that a linear layer is a single Gemm.
func (c Config) Forward(d Dropout) (*onnx.Model, error) {
	g := &onnx.Graph{Name: c.Class(true)}
	f := &forward{Config: c, rates: d, model: onnx.NewModel(g), b: onnx.NewBuilder(g)}
	f.model.DefineDim("tokens", "length*rows")
	f.inputs()
	x := f.embeddings()
	for i := range c.NumHiddenLayers {
		x = f.layer(c.layerName(i), x)
	}
	f.head(x)
	f.b.Output("logits", onnx.Float, "rows", c.NumLabels)
	f.parameters()
	return f.model, nil
}

// forward is a graph in the making, with the values that all layers share.
type forward struct {
	Config
	rates Dropout
	model *onnx.Model
	b     *onnx.Builder

	split string // [rows, length, heads, width of a head], the shape that a projection is taken apart to
	mask  string // [rows, 1, 1, length], 0 where attention may look and the least float elsewhere
}

func (f *forward) inputs() {
	f.b.Input("input_ids", onnx.Int64, "rows", "length")
	f.b.Input("attention_mask", onnx.Int64, "rows", "length")
	if f.family().segments {
		f.b.Input("token_type_ids", onnx.Int64, "rows", "length")
	}
}

// parameters declares the weights last, so that masks and weights do not mix in the list of inputs.
func (f *forward) parameters() {
	for _, p := range f.Parameters() {
		dims := make([]any, len(p.Shape))
		for i, d := range p.Shape {
			dims[i] = d
		}
		f.b.Input(p.Name, onnx.Float, dims...)
	}
}

// embeddings is LayerNorm(word + type + position).
func (f *forward) embeddings() string {
	scope := f.family().prefix + ".embeddings"
	defer f.b.Scope(scope)()
	sum := f.lookUp(scope+".word_embeddings", f.flat("input_ids"))
	switch {
	case f.family().segments:
		sum = f.b.Op("Add", []string{sum, f.lookUp(scope+".token_type_embeddings", f.flat("token_type_ids"))})
	case f.family().typed:
		sum = f.b.Op("Add", []string{sum, f.lookUp(scope+".token_type_embeddings", f.b.Ints(0))})
	}
	sum = f.b.Op("Add", []string{sum, f.lookUp(scope+".position_embeddings", f.positions())})
	f.attentionShapes()
	return f.dropout(f.norm(scope+".LayerNorm", sum), scope, f.rates.Hidden, "tokens", f.HiddenSize)
}

// positions gives each token its row of the position table: [tokens]. BERT numbers the places of a row from 0. RoBERTa
// follows the ids, not the mask: each token that is not pad gets the next number after the pad's, each pad the pad's own.
func (f *forward) positions() string {
	b := f.b
	shape := b.Op("Shape", []string{"input_ids"})
	if !f.family().padded {
		length := b.Op("Gather", []string{shape, b.Int(1)}, onnx.IntAttr("axis", 0))
		return f.flat(b.Op("Expand", []string{b.Op("Range", []string{b.Int(0), length, b.Int(1)}), shape}))
	}
	pad := b.Int(int64(f.PadTokenID))
	real := b.Op("Cast", []string{b.Op("Not", []string{b.Op("Equal", []string{"input_ids", pad})})}, onnx.IntAttr("to", int64(onnx.Int64)))
	count := b.Op("Mul", []string{b.Op("CumSum", []string{real, b.Int(1)}), real})
	return f.flat(b.Op("Add", []string{count, pad}))
}

// lookUp is the rows of an embedding table that ids name: [ids, hidden].
func (f *forward) lookUp(table, ids string) string {
	return f.b.Op("Gather", []string{table + ".weight", ids}, onnx.IntAttr("axis", 0))
}

// flat is [rows, length] as [tokens].
func (f *forward) flat(x string) string { return f.b.Op("Reshape", []string{x, f.b.Ints(-1)}) }

// attentionShapes makes what every attention layer needs from the batch: its split shape and its additive mask.
func (f *forward) attentionShapes() {
	b := f.b
	heads := b.Ints(int64(f.NumAttentionHeads), int64(f.HiddenSize/f.NumAttentionHeads))
	f.split = b.Op("Concat", []string{b.Op("Shape", []string{"input_ids"}), heads}, onnx.IntAttr("axis", 0))
	seen := b.Op("Cast", []string{b.Op("Unsqueeze", []string{"attention_mask", b.Ints(1, 2)})}, onnx.IntAttr("to", int64(onnx.Float)))
	f.mask = b.Op("Mul", []string{b.Op("Sub", []string{b.Scalar(1), seen}), b.Scalar(-math.MaxFloat32)})
}

// layer is one encoder layer, whose modules' names start with scope: x [tokens, hidden] -> [tokens, hidden].
func (f *forward) layer(scope, x string) string {
	n := f.family().layer
	x = f.sublayer(scope+n.attention, scope+n.attentionNorm, f.attention(scope, x), x)
	leave := f.b.Scope(scope + n.inner)
	inner := f.activation(f.linear(scope+n.inner, x))
	leave()
	return f.sublayer(scope+n.outer, scope+n.outerNorm, inner, x)
}

// activation is hidden_act.
func (f *forward) activation(x string) string {
	a := activations[f.HiddenAct]
	if a.approximate == "" {
		return f.b.Op(a.op, []string{x})
	}
	return f.b.Op(a.op, []string{x}, onnx.StringAttr("approximate", a.approximate))
}

// attention is softmax(Q Kᵀ/√d + mask) V for each head, with the heads side by side again: [tokens, hidden].
func (f *forward) attention(scope, x string) string {
	b, n := f.b, f.family().layer
	site := scope + "attention"
	defer b.Scope(site)()
	query := f.heads(f.linear(scope+n.query, x), 0, 2, 1, 3)
	key := f.heads(f.linear(scope+n.key, x), 0, 2, 3, 1)
	value := f.heads(f.linear(scope+n.value, x), 0, 2, 1, 3)

	scale := b.Scalar(float32(1 / math.Sqrt(float64(f.HiddenSize/f.NumAttentionHeads))))
	scores := b.Op("Mul", []string{b.Op("MatMul", []string{query, key}), scale})
	scores = b.Op("Add", []string{scores, f.mask})
	probabilities := b.Op("Softmax", []string{scores}, onnx.IntAttr("axis", -1))
	probabilities = f.dropout(probabilities, site, f.rates.Attention, "rows", f.NumAttentionHeads, "length", "length")

	context := b.Op("Transpose", []string{b.Op("MatMul", []string{probabilities, value})}, onnx.IntsAttr("perm", 0, 2, 1, 3))
	return b.Op("Reshape", []string{context, b.Ints(-1, int64(f.HiddenSize))})
}

// heads takes [tokens, hidden] apart to [rows, length, heads, width] and reorders these axes.
func (f *forward) heads(x string, perm ...int64) string {
	return f.b.Op("Transpose", []string{f.b.Op("Reshape", []string{x, f.split})}, onnx.IntsAttr("perm", perm...))
}

// sublayer is norm(dropout(dense(x)) + residual).
func (f *forward) sublayer(dense, norm, x, residual string) string {
	defer f.b.Scope(dense)()
	y := f.dropout(f.linear(dense, x), dense, f.rates.Hidden, "tokens", f.HiddenSize)
	return f.norm(norm, f.b.Op("Add", []string{y, residual}))
}

// head is outer(drop(activation(inner(x₀)))) on each row's first token.
func (f *forward) head(x string) {
	b, n := f.b, f.family().head
	defer b.Scope("head")()
	hidden := int64(f.HiddenSize)
	x = b.Op("Reshape", []string{x, b.Op("Concat", []string{b.Op("Shape", []string{"input_ids"}), b.Ints(hidden)}, onnx.IntAttr("axis", 0))})
	x = b.Op("Slice", []string{x, b.Ints(0), b.Ints(1), b.Ints(1)})
	x = b.Op("Reshape", []string{x, b.Ints(-1, hidden)})
	if n.dropsFirst {
		x = f.dropout(x, n.inner, f.rates.Head, "rows", f.HiddenSize)
	}
	x = b.Op(n.activation, []string{f.linear(n.inner, x)})
	x = f.dropout(x, n.outer, f.rates.Head, "rows", f.HiddenSize)
	b.Named("logits", "Gemm", []string{x, n.outer + ".weight", n.outer + ".bias"}, onnx.IntAttr("transB", 1))
}

// linear is x Wᵀ + b, for the module of that name.
func (f *forward) linear(name, x string) string {
	return f.b.Op("Gemm", []string{x, name + ".weight", name + ".bias"}, onnx.IntAttr("transB", 1))
}

func (f *forward) norm(name, x string) string {
	return f.b.Op("LayerNormalization", []string{x, name + ".weight", name + ".bias"},
		onnx.IntAttr("axis", -1), onnx.FloatAttr("epsilon", float32(f.LayerNormEps)))
}

func (f *forward) dropout(x, site string, rate float64, dims ...any) string {
	if rate > 0 {
		f.model.SetDropoutRate(site, rate)
	}
	return f.b.Dropout(x, site, rate, dims...)
}

// AddLoss extends a model with an input targets [rows, labels] and the output loss [1] = -Σ targets · log softmax(logits).
// Targets that are one-hot rows divided by the pairs of a batch make the loss this turn's share of the batch's mean.
func AddLoss(m *onnx.Model) *onnx.Model {
	m = m.Clone()
	b := onnx.NewBuilder(m.Graph)
	leave := b.Scope("loss")
	defer leave()
	var shape onnx.Shape
	for _, o := range m.Graph.Outputs {
		if o.Name == "logits" {
			shape = o.Shape
		}
	}
	dims := make([]any, len(shape))
	for i, d := range shape {
		dims[i] = d
	}
	targets := b.Input("targets", onnx.Float, dims...)
	logs := b.Op("LogSoftmax", []string{"logits"}, onnx.IntAttr("axis", -1))
	sum := b.Op("ReduceSum", []string{b.Op("Mul", []string{targets, logs})}, onnx.IntAttr("keepdims", 0))
	b.Named("loss", "Reshape", []string{b.Op("Neg", []string{sum}), b.Ints(1)})
	b.Output("loss", onnx.Float, 1)
	return m
}
