package kernels

import (
	"slices"

	"metalora/onnx"
)

// Lower returns a copy of a model in which operators of ours stand in the place of ONNX's where they compute the same. All
// values keep their names. A model in which nothing is replaced is returned as it is, and so is one that names [Domain]
// itself or whose types cannot be inferred.
func Lower(m *onnx.Model) *onnx.Model {
	if _, named := m.Opsets[Domain]; named {
		return m
	}
	facts, err := onnx.Analyse(m)
	if err != nil {
		return m
	}
	c := m.Clone()
	l := newLowering(c.Graph, facts)
	for _, pass := range []func(*lowering, *onnx.Node){(*lowering).norm, (*lowering).geluGrad, (*lowering).gelu, (*lowering).mask, (*lowering).sum, (*lowering).gemm} {
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

// gemm replaces a product of two factors.
func (l *lowering) gemm(n *onnx.Node) {
	if n.Op != "Gemm" || n.Input(2) != "" || !l.float(n.Input(0)) || !l.float(n.Input(1)) {
		return
	}
	l.replace(n, of(n, "Gemm", n.Inputs[:2], n.Outputs, onnx.IntAttr("transA", n.Int("transA", 0)),
		onnx.IntAttr("transB", n.Int("transB", 0)), onnx.FloatAttr("alpha", n.Float("alpha", 1))))
}
