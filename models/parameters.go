package models

import (
	"fmt"
	"strings"

	"metalora/models/safetensors"
	"metalora/pipeline/rng"
)

// Parameters lists the model's tensors in the order in which Hugging Face creates them. A pooler that sequence
// classification does not use, as RoBERTa's, is not among them.
func (c Config) Parameters() []Parameter {
	f, h := c.family(), c.HiddenSize
	list := c.tables()
	pair := func(module string, p Parameter) {
		weight, bias := p, p
		weight.Name, bias.Name = module+".weight", module+".bias"
		bias.Shape = p.Shape[:1]
		list = append(list, weight, bias)
	}
	pair(f.prefix+".embeddings.LayerNorm", Parameter{Shape: []int{h}, Pad: -1})
	for i := range c.NumHiddenLayers {
		for _, m := range c.layer(i) {
			pair(m.name, Parameter{Shape: m.shape, Pad: -1})
		}
	}
	pair(f.head.inner, Parameter{Shape: []int{h, h}, Head: true, Pooler: f.head.pooler, Pad: -1})
	pair(f.head.outer, Parameter{Shape: []int{c.NumLabels, h}, Head: true, Pad: -1})
	return list
}

// tables are the embeddings.
func (c Config) tables() []Parameter {
	f, scope, h := c.family(), c.family().prefix+".embeddings.", c.HiddenSize
	word := Parameter{Name: scope + "word_embeddings.weight", Shape: []int{c.VocabSize, h}, Pad: c.PadTokenID}
	position := Parameter{Name: scope + "position_embeddings.weight", Shape: []int{c.MaxPositionEmbeddings, h}, Pad: -1}
	if f.padded {
		position.Pad = c.PadTokenID
	}
	if !f.typed {
		return []Parameter{word, position}
	}
	return []Parameter{word, position, {Name: scope + "token_type_embeddings.weight", Shape: []int{c.TypeVocabSize, h}, Pad: -1}}
}

// module is a linear layer [out, in] or a norm [width].
type module struct {
	name  string
	shape []int
}

// layerName is the module of encoder layer i.
func (c Config) layerName(i int) string {
	return fmt.Sprintf("%s.%s.%d.", c.family().prefix, c.family().layers, i)
}

// layer lists the modules of encoder layer i.
func (c Config) layer(i int) []module {
	h, inner, name, n := c.HiddenSize, c.IntermediateSize, c.layerName(i), c.family().layer
	return []module{
		{name + n.query, []int{h, h}},
		{name + n.key, []int{h, h}},
		{name + n.value, []int{h, h}},
		{name + n.attention, []int{h, h}},
		{name + n.attentionNorm, []int{h}},
		{name + n.inner, []int{inner, h}},
		{name + n.outer, []int{h, inner}},
		{name + n.outerNorm, []int{h}},
	}
}

// Initialise draws a model the way Hugging Face does: matrices and embeddings from N(0, initializer_range²), the head's
// from N(0, 0.02²), biases and the rows of the pad token 0, LayerNorm the identity.
func Initialise(cfg Config, s *rng.Stream) safetensors.Tensors {
	tensors := safetensors.Tensors{}
	for _, p := range cfg.Parameters() {
		deviation := cfg.InitializerRange
		if p.Head {
			deviation = headDeviation
		}
		x := normal(p, deviation, s)
		if len(p.Shape) == 1 && strings.HasSuffix(p.Name, ".weight") { // a norm's
			for i := range x.Data {
				x.Data[i] = 1
			}
		}
		if p.Pad >= 0 {
			clear(x.Data[p.Pad*cfg.HiddenSize : (p.Pad+1)*cfg.HiddenSize])
		}
		tensors[p.Name] = x
	}
	return tensors
}

// zeros makes a tensor of a shape that [Config.Check] has found possible.
func zeros(shape []int) safetensors.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return safetensors.Tensor{Shape: shape, Data: make([]float32, n)}
}
