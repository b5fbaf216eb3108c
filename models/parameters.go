package models

import (
	"fmt"
	"strings"

	"metalora/models/safetensors"
	"metalora/pipeline/rng"
)

// Parameters lists the model's tensors in the order in which Hugging Face creates them. The pooler, which sequence
// classification does not use, is not among them.
func (c Config) Parameters() []Parameter {
	h := c.HiddenSize
	list := []Parameter{
		{"roberta.embeddings.word_embeddings.weight", []int{c.VocabSize, h}, false, false, c.PadTokenID},
		{"roberta.embeddings.position_embeddings.weight", []int{c.MaxPositionEmbeddings, h}, false, false, c.PadTokenID},
		{"roberta.embeddings.token_type_embeddings.weight", []int{c.TypeVocabSize, h}, false, false, -1},
	}
	pair := func(module string, bias int, weight ...int) {
		head := strings.HasPrefix(module, "classifier.")
		list = append(list,
			Parameter{module + ".weight", weight, head, false, -1},
			Parameter{module + ".bias", []int{bias}, head, false, -1})
	}
	pair("roberta.embeddings.LayerNorm", h, h)
	for i := range c.NumHiddenLayers {
		layer := layerName(i)
		for _, l := range c.layer(i) {
			pair(l.name, l.out, l.out, l.in)
			switch l.name {
			case layer + ".attention.output.dense":
				pair(layer+".attention.output.LayerNorm", h, h)
			case layer + ".output.dense":
				pair(layer+".output.LayerNorm", h, h)
			}
		}
	}
	pair("classifier.dense", h, h, h)
	pair("classifier.out_proj", c.NumLabels, c.NumLabels, h)
	return list
}

type linear struct {
	name    string
	out, in int
}

func layerName(i int) string { return fmt.Sprintf("roberta.encoder.layer.%d", i) }

// layer lists the linear layers of encoder layer i.
func (c Config) layer(i int) []linear {
	h, f, layer := c.HiddenSize, c.IntermediateSize, layerName(i)
	return []linear{
		{layer + ".attention.self.query", h, h},
		{layer + ".attention.self.key", h, h},
		{layer + ".attention.self.value", h, h},
		{layer + ".attention.output.dense", h, h},
		{layer + ".intermediate.dense", f, h},
		{layer + ".output.dense", h, f},
	}
}

// Linears names the linear layers of the encoder, without ".weight".
func (c Config) Linears() []string {
	var names []string
	for i := range c.NumHiddenLayers {
		for _, l := range c.layer(i) {
			names = append(names, l.name)
		}
	}
	return names
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
		if strings.HasSuffix(p.Name, "LayerNorm.weight") {
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
