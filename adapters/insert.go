package adapters

import (
	"fmt"

	"metalora/onnx"
)

// Insert puts an adapter behind each site's linear layer:
//
//	y' = y + scale · drop(x) Aᵀ Bᵀ
//
// The weights become inputs X.lora_A.weight [rank, in] and X.lora_B.weight [out, rank]. With dropout above zero each
// site has a mask of its own, the input dropout::X.lora. A B of zeros leaves y as it was to the last bit. A symmetric site
// has no B: Aᵀ stands in its place.
func Insert(m *onnx.Model, sites []Site, dropout float64) (*onnx.Model, error) {
	places := map[string]Site{}
	for _, s := range sites {
		places[s.Linear] = s
	}
	values, err := onnx.Infer(m)
	if err != nil {
		return nil, fmt.Errorf("inserting LoRA: %w", err)
	}
	out := m.Clone()
	nodes := out.Graph.Nodes
	out.Graph.Nodes = nil
	i := &inserter{model: out, b: onnx.NewBuilder(out.Graph), values: values}
	i.b.Reserve(nodes)
	for _, n := range nodes {
		name, ok := linear(n)
		site, meant := places[name]
		if !ok || !meant {
			out.Graph.Nodes = append(out.Graph.Nodes, n)
			continue
		}
		delete(places, name)
		i.insert(n, site, dropout)
	}
	for name := range places {
		return nil, fmt.Errorf("inserting LoRA: the graph has no linear layer %s", name)
	}
	return out, nil
}

// inserter is a graph that is being put together again.
type inserter struct {
	model  *onnx.Model
	b      *onnx.Builder
	values map[string]onnx.ValueInfo // of the graph without adapters
}

// insert appends the linear layer under another name for its output, and the adapter that takes the old one. A factor of
// the layer's own product is the adapter's too.
func (i *inserter) insert(n *onnx.Node, s Site, dropout float64) {
	b := i.b
	defer b.Scope(s.Linear)()
	base := *n
	base.Outputs = []string{b.Fresh("base")}
	i.model.Graph.Nodes = append(i.model.Graph.Nodes, &base)
	b.Input(s.A(), onnx.Float, s.Rank, s.In)
	second, transposed := s.A(), int64(0) // A Aᵀ x: the second product reads A as it lies
	if !s.Symmetric {
		b.Input(s.B(), onnx.Float, s.Out, s.Rank)
		second, transposed = s.B(), 1
	}
	x, scale := n.Input(0), s.Scale*float64(n.Float("alpha", 1))
	if dropout > 0 {
		x = i.drop(x, s, dropout)
		scale /= 1 - dropout
	}
	low := b.Op("Gemm", []string{x, s.A()}, onnx.IntAttr("transB", 1))
	step := b.Op("Gemm", []string{low, second}, onnx.IntAttr("transB", transposed), onnx.FloatAttr("alpha", float32(scale)))
	b.Named(n.Output(0), "Add", []string{base.Output(0), step})
}

// drop is dropout of a site's input, without its factor. A layer of the encoder that sees but one token of each row is one
// whose other tokens nobody reads.
func (i *inserter) drop(x string, s Site, rate float64) string {
	name, tokens := s.Linear+".lora", i.values[x].Shape[0]
	if tokens.Name == "rows" {
		return i.model.DropFirst(i.b, x, name, rate, 0, tokens, s.In)
	}
	return i.model.Drop(i.b, x, name, rate, tokens, s.In)
}
