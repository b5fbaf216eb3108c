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
// Activations are [tokens, hidden] with tokens = rows·length, so that a linear layer is a single Gemm. The head reads each
// row's first token alone, so the last layer computes only what that one needs: keys and values of all tokens, and
// everything else for rows tokens.
func (c Config) Forward(d Dropout) (*onnx.Model, error) {
	g := &onnx.Graph{Name: c.Class(true)}
	f := &forward{Config: c, rates: d, model: onnx.NewModel(g), b: onnx.NewBuilder(g)}
	f.model.DefineDim("tokens", "length*rows")
	f.inputs()
	x := f.embeddings()
	last := c.NumHiddenLayers - 1
	for i := range last {
		x = f.layer(c.layerName(i), x, f.every(x))
	}
	f.head(f.layer(c.layerName(last), x, f.first(x)))
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
	masks string // the same for each of length queries: [rows, 1, length, length]
}

// queries are the tokens that a layer computes: x [count, hidden], perRow of them in each row.
type queries struct {
	x, split, mask string
	count, perRow  any
}

// every token of each row.
func (f *forward) every(x string) queries { return queries{x, f.split, f.masks, "tokens", "length"} }

// first is the first token of each row.
func (f *forward) first(x string) queries {
	b, hidden := f.b, int64(f.HiddenSize)
	defer b.Scope("first")()
	shape := b.Op("Shape", []string{"input_ids"})
	rows := b.Op("Gather", []string{shape, b.Int(0)}, onnx.IntAttr("axis", 0))
	length := b.Op("Gather", []string{shape, b.Int(1)}, onnx.IntAttr("axis", 0))
	starts := b.Op("Mul", []string{b.Op("Range", []string{b.Int(0), rows, b.Int(1)}), length})
	x = b.Op("Gather", []string{x, starts}, onnx.IntAttr("axis", 0))
	heads := int64(f.NumAttentionHeads)
	return queries{x, b.Ints(-1, 1, heads, hidden/heads), f.mask, "rows", 1}
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
	return f.drop(f.norm(scope+".LayerNorm", sum, kept(f.rates.Hidden)), scope, f.rates.Hidden, f.every(""), 0, "tokens", f.HiddenSize)
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
	// Adding the mask as it is would broadcast along two axes, one short run of length numbers after another; made once for
	// each query it is added in runs of length·length.
	length := b.Op("Gather", []string{b.Op("Shape", []string{"input_ids"}), b.Ints(1)}, onnx.IntAttr("axis", 0))
	f.masks = b.Op("Expand", []string{f.mask, b.Op("Concat", []string{b.Ints(1, 1), length, b.Ints(1)}, onnx.IntAttr("axis", 0))})
}

// layer is one encoder layer, whose modules' names start with scope: the queries q look at all of x [tokens, hidden] and
// become [count, hidden].
func (f *forward) layer(scope, x string, q queries) string {
	n := f.family().layer
	rate := f.rates.Hidden
	if n.keepsAttention {
		rate = 0
	}
	q.x = f.sublayer(scope+n.attention, scope+n.attentionNorm, f.attention(scope, x, q), rate, q)
	leave := f.b.Scope(scope + n.inner)
	inner := f.activation(f.linear(scope+n.inner, q.x, 1))
	leave()
	return f.sublayer(scope+n.outer, scope+n.outerNorm, inner, f.rates.Hidden, q)
}

// activation is hidden_act.
func (f *forward) activation(x string) string {
	a := activations[f.HiddenAct]
	if a.approximate == "" {
		return f.b.Op(a.op, []string{x})
	}
	return f.b.Op(a.op, []string{x}, onnx.StringAttr("approximate", a.approximate))
}

// attention is softmax(Q Kᵀ/√d + mask) V for each head, with the heads side by side again: [count, hidden]. What dropout
// leaves of the probabilities counts 1/(1-rate) times; the values bear that factor.
func (f *forward) attention(scope, x string, q queries) string {
	b, n := f.b, f.family().layer
	site, rate := scope+"attention", f.rates.Attention
	defer b.Scope(site)()
	query := f.heads(f.linear(scope+n.query, q.x, 1), q.split, 0, 2, 1, 3)
	key := f.heads(f.linear(scope+n.key, x, 1), f.split, 0, 2, 3, 1)
	value := f.heads(f.linear(scope+n.value, x, kept(rate)), f.split, 0, 2, 1, 3)

	scale := b.Scalar(float32(1 / math.Sqrt(float64(f.HiddenSize/f.NumAttentionHeads))))
	scores := b.Op("Mul", []string{b.Op("MatMul", []string{query, key}), scale})
	scores = b.Op("Add", []string{scores, q.mask})
	probabilities := b.Op("Softmax", []string{scores}, onnx.IntAttr("axis", -1))
	probabilities = f.drop(probabilities, site, rate, q, 2, "rows", f.NumAttentionHeads, q.perRow, "length")

	context := b.Op("Transpose", []string{b.Op("MatMul", []string{probabilities, value})}, onnx.IntsAttr("perm", 0, 2, 1, 3))
	return b.Op("Reshape", []string{context, b.Ints(-1, int64(f.HiddenSize))})
}

// heads takes a projection apart to the shape split and reorders its axes.
func (f *forward) heads(x, split string, perm ...int64) string {
	return f.b.Op("Transpose", []string{f.b.Op("Reshape", []string{x, split})}, onnx.IntsAttr("perm", perm...))
}

// sublayer is norm(dropout(dense(x)) + q), with the rate of the dropout.
func (f *forward) sublayer(dense, norm, x string, rate float64, q queries) string {
	defer f.b.Scope(dense)()
	y := f.drop(f.linear(dense, x, kept(rate)), dense, rate, q, 0, q.count, f.HiddenSize)
	return f.norm(norm, f.b.Op("Add", []string{y, q.x}), 1)
}

// head is outer(drop(activation(inner(x)))) for the first token x of each row.
func (f *forward) head(x string) {
	b, n := f.b, f.family().head
	defer b.Scope("head")()
	if n.dropsFirst {
		x = f.dropped(x, n.inner)
	}
	x = b.Op(n.activation, []string{f.linear(n.inner, x, 1)})
	x = f.dropped(x, n.outer)
	b.Named("logits", "Gemm", []string{x, n.outer + ".weight", n.outer + ".bias"}, onnx.IntAttr("transB", 1))
}

// linear is c·(x Wᵀ + b), for the module of that name. The bias is added apart: the engine fills a Gemm's result with its
// addend on one thread, which takes longer than an Add on all of them.
func (f *forward) linear(name, x string, c float64) string {
	gemm := []onnx.Attr{onnx.IntAttr("transB", 1)}
	if c != 1 {
		gemm = append(gemm, onnx.FloatAttr("alpha", float32(c)))
	}
	y := f.b.Op("Gemm", []string{x, name + ".weight"}, gemm...)
	return f.b.Op("Add", []string{y, f.scaled(name+".bias", c)})
}

// norm is c times the layer normalisation of that name.
func (f *forward) norm(name, x string, c float64) string {
	return f.b.Op("LayerNormalization", []string{x, f.scaled(name+".weight", c), f.scaled(name+".bias", c)},
		onnx.IntAttr("axis", -1), onnx.FloatAttr("epsilon", float32(f.LayerNormEps)))
}

func (f *forward) scaled(x string, c float64) string {
	if c == 1 {
		return x
	}
	return f.b.Op("Mul", []string{x, f.b.Scalar(float32(c))})
}

// kept is what dropout multiplies the elements with that it keeps. Whatever makes or reads a large value takes the factor
// over, where it costs nothing.
func kept(rate float64) float64 { return 1 / (1 - rate) }

// drop is dropout without the factor: x with the elements zeroed that the site's mask drops. axis is x's last before those of
// a single query.
func (f *forward) drop(x, site string, rate float64, q queries, axis int, dims ...any) string {
	switch {
	case rate == 0:
		return x
	case q.perRow == 1:
		return f.model.DropFirst(f.b, x, site, rate, axis, dims...)
	}
	return f.model.Drop(f.b, x, site, rate, dims...)
}

// dropped is dropout of an input of the head's.
func (f *forward) dropped(x, site string) string {
	if f.rates.Head == 0 {
		return x
	}
	return f.model.Dropout(f.b, x, site, f.rates.Head, "rows", f.HiddenSize)
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
