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
// site has a mask of its own, the input dropout::X.lora. The second product takes y as its addend, so a B of zeros
// leaves y as it was to the last bit. A symmetric site has no B: Aᵀ stands in its place.
func Insert(m *onnx.Model, sites []Site, dropout float64) (*onnx.Model, error) {
	places := map[string]Site{}
	for _, s := range sites {
		places[s.Linear] = s
	}
	out := m.Clone()
	nodes := out.Graph.Nodes
	out.Graph.Nodes = nil
	b := onnx.NewBuilder(out.Graph)
	b.Reserve(nodes)
	for _, n := range nodes {
		name, ok := linear(n)
		site, meant := places[name]
		if !ok || !meant {
			out.Graph.Nodes = append(out.Graph.Nodes, n)
			continue
		}
		delete(places, name)
		insert(b, out, n, site, dropout)
	}
	for name := range places {
		return nil, fmt.Errorf("inserting LoRA: the graph has no linear layer %s", name)
	}
	return out, nil
}

// insert appends the linear layer under another name for its output, and the adapter that takes the old one.
func insert(b *onnx.Builder, m *onnx.Model, n *onnx.Node, s Site, dropout float64) {
	defer b.Scope(s.Linear)()
	base := *n
	base.Outputs = []string{b.Fresh("base")}
	m.Graph.Nodes = append(m.Graph.Nodes, &base)
	b.Input(s.A(), onnx.Float, s.Rank, s.In)
	second, transposed := s.A(), int64(0) // A Aᵀ x: the second product reads A as it lies
	if !s.Symmetric {
		b.Input(s.B(), onnx.Float, s.Out, s.Rank)
		second, transposed = s.B(), 1
	}
	x := n.Input(0)
	if dropout > 0 {
		m.SetDropoutRate(s.Linear+".lora", dropout)
		x = b.Dropout(x, s.Linear+".lora", dropout, "tokens", s.In)
	}
	low := b.Op("Gemm", []string{x, s.A()}, onnx.IntAttr("transB", 1))
	b.Named(n.Output(0), "Gemm", []string{low, second, base.Output(0)},
		onnx.IntAttr("transB", transposed), onnx.FloatAttr("alpha", float32(s.Scale)))
}
