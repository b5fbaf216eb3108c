package kernels

import (
	"slices"

	"metalora/onnx"
)

// Lower returns a copy of a model in which operators of ours stand in the place of ONNX's where they compute the same. All
// values keep their names. A model in which nothing is replaced is returned as it is, and so is one that names [Domain]
// itself, is not well-formed or has types that cannot be inferred.
func Lower(m *onnx.Model) *onnx.Model {
	if _, named := m.Opsets[Domain]; named || m.Check() != nil { // what no operator set is named for is an error of the check
		return m
	}
	facts, err := onnx.Analyse(m)
	if err != nil {
		return m
	}
	c := m.Clone()
	l := newLowering(c.Graph, facts)
	for _, pass := range []func(*lowering, *onnx.Node){(*lowering).attention, (*lowering).gemm, (*lowering).factors, (*lowering).products,
		(*lowering).norm, (*lowering).geluGrad, (*lowering).gelu, (*lowering).mask, (*lowering).sum} {
		l.walk(pass)
	}
	if !l.replaced || !l.finish() {
		return m
	}
	c.Opsets[Domain] = version
	return c
}

// walk shows a pass every node of ONNX's own operator set.
func (l *lowering) walk(pass func(*lowering, *onnx.Node)) {
	for _, n := range slices.Clone(l.graph.Nodes) {
		if n.Domain == "" && !l.gone[n] {
			pass(l, n)
		}
	}
}
