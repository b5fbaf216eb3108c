package models

import (
	"math"
	"strings"

	"metalora/models/safetensors"
	"metalora/pipeline/rng"
)

// headDeviation is the standard deviation of a head's first weights in Hugging Face's models.
const headDeviation = 0.02

// StartHead draws a head the way Hugging Face does: matrices from N(0, 0.02²), biases 0.
func StartHead(a Architecture, s *rng.Stream) safetensors.Tensors {
	tensors := safetensors.Tensors{}
	for _, p := range a.Parameters() {
		if p.Head {
			tensors[p.Name] = normal(p, headDeviation, s)
		}
	}
	return tensors
}

// FreshHead draws a head the way PyTorch's nn.Linear does: weight and bias uniform in ±1/√in.
func FreshHead(a Architecture, s *rng.Stream) safetensors.Tensors {
	inputs := map[string]int{} // of each linear layer
	for _, p := range a.Parameters() {
		if module, ok := strings.CutSuffix(p.Name, ".weight"); ok && len(p.Shape) == 2 {
			inputs[module] = p.Shape[1]
		}
	}
	tensors := safetensors.Tensors{}
	for _, p := range a.Parameters() {
		if !p.Head {
			continue
		}
		x := zeros(p.Shape)
		module := p.Name[:strings.LastIndexByte(p.Name, '.')]
		bound := 1 / math.Sqrt(float64(inputs[module]))
		for i := range x.Data {
			x.Data[i] = float32(s.Uniform(bound))
		}
		tensors[p.Name] = x
	}
	return tensors
}

// normal draws a matrix from N(0, deviation²); a vector is zero.
func normal(p Parameter, deviation float64, s *rng.Stream) safetensors.Tensor {
	x := zeros(p.Shape)
	if len(p.Shape) == 2 {
		for i := range x.Data {
			x.Data[i] = float32(s.Normal() * deviation)
		}
	}
	return x
}
