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

// Forward builds the graph of RobertaForSequenceClassification.
// Activations are [tokens, hidden] with tokens = rows·length, so that a linear layer is a single Gemm.
func (c Config) Forward(d Dropout) (*onnx.Model, error) {
	g := &onnx.Graph{Name: "RobertaForSequenceClassification"}
	f := &forward{Config: c, rates: d, model: onnx.NewModel(g), b: onnx.NewBuilder(g)}
	f.model.DefineDim("tokens", "length*rows")
	f.inputs()
	x := f.embeddings()
	for i := range c.NumHiddenLayers {
		x = f.layer(layerName(i), x)
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

// embeddings is LayerNorm(word + type + position). Positions follow the ids, not the mask: each token that is not pad
// gets the next one, each pad the pad's own.
func (f *forward) embeddings() string {
	b, scope := f.b, "roberta.embeddings"
	leave := b.Scope(scope)
	defer leave()
	pad, flat := b.Int(int64(f.PadTokenID)), b.Ints(-1)
	real := b.Op("Cast", []string{b.Op("Not", []string{b.Op("Equal", []string{"input_ids", pad})})}, onnx.IntAttr("to", int64(onnx.Int64)))
	count := b.Op("Mul", []string{b.Op("CumSum", []string{real, b.Int(1)}), real})
	positions := b.Op("Reshape", []string{b.Op("Add", []string{count, pad}), flat})
	ids := b.Op("Reshape", []string{"input_ids", flat})

	word := b.Op("Gather", []string{scope + ".word_embeddings.weight", ids}, onnx.IntAttr("axis", 0))
	kind := b.Op("Gather", []string{scope + ".token_type_embeddings.weight", b.Ints(0)}, onnx.IntAttr("axis", 0))
	position := b.Op("Gather", []string{scope + ".position_embeddings.weight", positions}, onnx.IntAttr("axis", 0))
	sum := b.Op("Add", []string{b.Op("Add", []string{word, kind}), position})
	f.attentionShapes()
	return f.dropout(f.norm(scope+".LayerNorm", sum), scope, f.rates.Hidden, "tokens", f.HiddenSize)
}

// attentionShapes makes what every attention layer needs from the batch: its split shape and its additive mask.
func (f *forward) attentionShapes() {
	b := f.b
	heads := b.Ints(int64(f.NumAttentionHeads), int64(f.HiddenSize/f.NumAttentionHeads))
	f.split = b.Op("Concat", []string{b.Op("Shape", []string{"input_ids"}), heads}, onnx.IntAttr("axis", 0))
	seen := b.Op("Cast", []string{b.Op("Unsqueeze", []string{"attention_mask", b.Ints(1, 2)})}, onnx.IntAttr("to", int64(onnx.Float)))
	f.mask = b.Op("Mul", []string{b.Op("Sub", []string{b.Scalar(1), seen}), b.Scalar(-math.MaxFloat32)})
}

// layer is one encoder layer: x [tokens, hidden] -> [tokens, hidden].
func (f *forward) layer(layer, x string) string {
	context := f.attention(layer+".attention.self", x)
	x = f.sublayer(layer+".attention.output", context, x)
	leave := f.b.Scope(layer + ".intermediate")
	inner := f.b.Op("Gelu", []string{f.linear(layer+".intermediate.dense", x)})
	leave()
	return f.sublayer(layer+".output", inner, x)
}

// attention is softmax(Q Kᵀ/√d + mask) V for each head, with the heads side by side again: [tokens, hidden].
func (f *forward) attention(scope, x string) string {
	b := f.b
	leave := b.Scope(scope)
	defer leave()
	query := f.heads(f.linear(scope+".query", x), 0, 2, 1, 3)
	key := f.heads(f.linear(scope+".key", x), 0, 2, 3, 1)
	value := f.heads(f.linear(scope+".value", x), 0, 2, 1, 3)

	scale := b.Scalar(float32(1 / math.Sqrt(float64(f.HiddenSize/f.NumAttentionHeads))))
	scores := b.Op("Mul", []string{b.Op("MatMul", []string{query, key}), scale})
	scores = b.Op("Add", []string{scores, f.mask})
	probabilities := b.Op("Softmax", []string{scores}, onnx.IntAttr("axis", -1))
	probabilities = f.dropout(probabilities, scope, f.rates.Attention, "rows", f.NumAttentionHeads, "length", "length")

	context := b.Op("Transpose", []string{b.Op("MatMul", []string{probabilities, value})}, onnx.IntsAttr("perm", 0, 2, 1, 3))
	return b.Op("Reshape", []string{context, b.Ints(-1, int64(f.HiddenSize))})
}

// heads takes [tokens, hidden] apart to [rows, length, heads, width] and reorders these axes.
func (f *forward) heads(x string, perm ...int64) string {
	return f.b.Op("Transpose", []string{f.b.Op("Reshape", []string{x, f.split})}, onnx.IntsAttr("perm", perm...))
}

// sublayer is LayerNorm(dropout(dense(x)) + residual).
func (f *forward) sublayer(scope, x, residual string) string {
	leave := f.b.Scope(scope)
	defer leave()
	y := f.dropout(f.linear(scope+".dense", x), scope, f.rates.Hidden, "tokens", f.HiddenSize)
	return f.norm(scope+".LayerNorm", f.b.Op("Add", []string{y, residual}))
}

// head is out_proj(tanh(dense(x₀))) with dropout before both layers, on each row's first token.
func (f *forward) head(x string) {
	b := f.b
	leave := b.Scope("classifier")
	defer leave()
	hidden := int64(f.HiddenSize)
	x = b.Op("Reshape", []string{x, b.Op("Concat", []string{b.Op("Shape", []string{"input_ids"}), b.Ints(hidden)}, onnx.IntAttr("axis", 0))})
	x = b.Op("Slice", []string{x, b.Ints(0), b.Ints(1), b.Ints(1)})
	x = b.Op("Reshape", []string{x, b.Ints(-1, hidden)})
	x = f.dropout(x, "classifier.dense", f.rates.Head, "rows", f.HiddenSize)
	x = b.Op("Tanh", []string{f.linear("classifier.dense", x)})
	x = f.dropout(x, "classifier.out_proj", f.rates.Head, "rows", f.HiddenSize)
	b.Named("logits", "Gemm", []string{x, "classifier.out_proj.weight", "classifier.out_proj.bias"}, onnx.IntAttr("transB", 1))
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
