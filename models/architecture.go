package models

import (
	"fmt"

	"metalora/models/safetensors"
	"metalora/onnx"
)

// Architecture is what training, scoring and saving need to know of a model; weights are no part of it. A [Config] is
// the architecture of a Hugging Face folder.
type Architecture interface {
	// Forward builds the graph. Its inputs are input_ids and attention_mask, int64 [rows, length], then token_type_ids
	// of that shape where Limits().Segments is above 0, then a mask for each place that drops something (see
	// [onnx.Builder.Dropout]), then every one of Parameters under its name. The output is logits [rows, labels].
	// Each linear layer X that can bear an adapter is a Gemm(x, X.weight, …, transB=1) over [tokens, in].
	Forward(d Dropout) (*onnx.Model, error)
	// Parameters lists the weights that the graph reads, in an order that never changes.
	Parameters() []Parameter
	// Limits bounds what may be fed.
	Limits() Limits
	// Save writes a model that [Load] reads: these tensors and, where tokenizerDir is not empty, the tokenizer's files
	// found there. The encoder's tensors all have to be there, the head's may be missing.
	Save(dir string, t safetensors.Tensors, tokenizerDir string) error
}

// Parameter is one trainable tensor of a model.
type Parameter struct {
	Name   string
	Shape  []int
	Head   bool // belongs to the classification head
	Pooler bool // of the head, the part that a base may bring along: a new head takes it over where it is there
	Pad    int  // row that nn.Embedding's padding_idx keeps without gradient, or -1
}

// Limits are the bounds of what a graph takes.
type Limits struct {
	Vocabulary int  // ids are below it
	Pad        int  // the id that fills short rows
	Length     int  // most tokens of a row
	FreePads   bool // pads take no position, so they do not count as tokens of a row
	Segments   int  // segment ids are below it; 0: the graph reads none
}

// Check reports the first thing in a row of ids that the model has no embedding for. types are the ids' segments; nil
// stands for segment 0 throughout.
func (l Limits) Check(ids, types []int) error {
	if len(ids) == 0 {
		return fmt.Errorf("a row without ids")
	}
	if types != nil && len(types) != len(ids) {
		return fmt.Errorf("%d segment ids for %d ids", len(types), len(ids))
	}
	positions := 0
	for i, id := range ids {
		if id < 0 || id >= l.Vocabulary {
			return fmt.Errorf("id %d at %d is outside the vocabulary of %d", id, i, l.Vocabulary)
		}
		if !l.FreePads || id != l.Pad {
			positions++
		}
	}
	for i, segment := range types {
		if segment < 0 || segment >= max(1, l.Segments) {
			return fmt.Errorf("segment id %d at %d: the model's go up to %d", segment, i, max(1, l.Segments)-1)
		}
	}
	if positions > l.Length {
		return fmt.Errorf("%d ids, and the model has %d positions", positions, l.Length)
	}
	return nil
}

// Split parts a model's tensors into the encoder's and the head's; those that are none of its parameters are in neither.
func Split(a Architecture, t safetensors.Tensors) (encoder, head safetensors.Tensors) {
	encoder, head = safetensors.Tensors{}, safetensors.Tensors{}
	for _, p := range a.Parameters() {
		x, ok := t[p.Name]
		switch {
		case !ok:
		case p.Head:
			head[p.Name] = x
		default:
			encoder[p.Name] = x
		}
	}
	return encoder, head
}

// HasHead tells whether tensors hold the whole head.
func HasHead(a Architecture, t safetensors.Tensors) bool {
	for _, p := range a.Parameters() {
		if _, ok := t[p.Name]; p.Head && !ok {
			return false
		}
	}
	return true
}

// Poolers are the tensors, copied, that a new head takes over from a base.
func Poolers(a Architecture, t safetensors.Tensors) safetensors.Tensors {
	kept := safetensors.Tensors{}
	for _, p := range a.Parameters() {
		if x, ok := t[p.Name]; ok && p.Pooler {
			kept[p.Name] = x
		}
	}
	return kept.Clone()
}
