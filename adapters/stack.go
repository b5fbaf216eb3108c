package adapters

import (
	"metalora/models/safetensors"
)

// Stacked are the weights of several adapters as a graph made by [Mix] reads them: each tensor has the adapters as its first
// dimension. Where one adapter's rank is below the largest of the stack, or where it has no matrices for a site, zeros stand
// in: they change nothing that it computes.
type Stacked struct {
	Count   int
	Tensors safetensors.Tensors
}

// Mixed is one adapter among several.
type Mixed struct {
	Sites   []Site              // where it sits, with its own ranks and scales
	Tensors safetensors.Tensors // its matrices, and the head that it scores with
}

// Stack lays out adapters for the sites of a mixed graph and the heads' weights of the names given, which each must have.
func Stack(sites []Site, heads []string, all []Mixed) Stacked {
	s := Stacked{Count: len(all), Tensors: safetensors.Tensors{}}
	for _, name := range heads {
		s.Tensors[name] = stackHead(name, all)
	}
	for _, place := range sites {
		own := make([]Site, len(all)) // rank 0: the adapter does not sit there
		rank := 1
		for i, a := range all {
			for _, site := range a.Sites {
				if site.Linear == place.Linear {
					own[i], rank = site, max(rank, site.Rank)
				}
			}
		}
		a := safetensors.Tensor{Shape: []int{len(all), place.In, rank}, Data: make([]float32, len(all)*place.In*rank)}
		b := safetensors.Tensor{Shape: []int{len(all), rank, place.Out}, Data: make([]float32, len(all)*rank*place.Out)}
		for i, site := range own {
			if site.Rank > 0 {
				turn(a.Data[i*place.In*rank:], all[i].Tensors[site.A()], rank, 1)
				turn(b.Data[i*rank*place.Out:], all[i].Tensors[site.B()], place.Out, site.Scale)
			}
		}
		s.Tensors[place.A()], s.Tensors[place.B()] = a, b
	}
	return s
}

// turn writes scale times the transpose of a matrix, in rows of a width at least the matrix's height.
func turn(to []float32, m safetensors.Tensor, width int, scale float64) {
	rows, columns := m.Shape[0], m.Shape[1]
	for r := range rows {
		for c := range columns {
			to[c*width+r] = float32(scale * float64(m.Data[r*columns+c]))
		}
	}
}

// stackHead stacks a matrix, transposed, or a vector of the heads.
func stackHead(name string, all []Mixed) safetensors.Tensor {
	first := all[0].Tensors[name]
	shape := []int{len(all), 1, first.Shape[0]}
	if len(first.Shape) == 2 {
		shape[1] = first.Shape[1]
	}
	size := shape[1] * shape[2]
	t := safetensors.Tensor{Shape: shape, Data: make([]float32, len(all)*size)}
	for i, a := range all {
		m := a.Tensors[name]
		if len(m.Shape) == 1 {
			copy(t.Data[i*size:], m.Data)
			continue
		}
		turn(t.Data[i*size:], m, m.Shape[0], 1)
	}
	return t
}

// Part is the stack's adapters from one to before another, without a copy.
func (s Stacked) Part(from, to int) safetensors.Tensors {
	part := safetensors.Tensors{}
	for name, t := range s.Tensors {
		size := t.Shape[1] * t.Shape[2]
		part[name] = safetensors.Tensor{Shape: []int{to - from, t.Shape[1], t.Shape[2]}, Data: t.Data[from*size : to*size]}
	}
	return part
}
