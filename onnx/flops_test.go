package onnx

import "testing"

// TestNodeFlops: operators of package kernels, counted by hand at 2 rows of 5 tokens, n = 3, m = 6, 2 heads of 4.
func TestNodeFlops(t *testing.T) {
	sizes := map[string]int64{"rows": 2, "length": 5, "n": 3, "m": 6}
	const (
		scores   = 2 * (2 * 5) * 8 * 6 // of a product of attention: 10 queries of 8 elements by 6 keys
		elements = 3 * 3 * 6
	)
	for name, c := range map[string]struct {
		build func(*Builder) string
		want  int64
	}{
		"Gemm":                            {own("Gemm", 1, 0, gemmInputs, gemmAttrs(0, 0)...), 2 * 3 * 6 * 4},
		"Gemm, turned, with a second":     {own("Gemm", 1, 0, gemmAll, gemmAttrs(1, 1)...), 2 * 3 * 6 * (4 + 2)},
		"Attention":                       {own("Attention", 1, 0, attends, headAttrs()...), 2 * scores},
		"Attention of one query":          {own("Attention", 2, 1, oneQuery, headAttrs()...), 2 * scores / 5},
		"Attention of packed rows":        {own("Attention", 1, 0, together, lying(1)...), 2 * 2 * (7 * 8) * 7 / 2},
		"Attention of one, packed":        {own("Attention", 2, 1, togetherOne, lying(2)...), 2 * 2 * (2 * 8) * 7 / 2},
		"AttentionGrad":                   {own("AttentionGrad", 3, 0, attendsBackDropped, headAttrs()...), 4 * scores},
		"AttentionGrad by queries alone":  {own("AttentionGrad", 1, 0, attendsBack, headAttrs()...), 2 * scores},
		"AttentionGrad by values alone":   {onlyValues, scores},
		"Gelu":                            {own("Gelu", 1, 0, floats(cube), erf), 0},
		"GeluGrad":                        {own("GeluGrad", 1, 0, twins, erf), 0},
		"GeluGrad with a sum":             {own("GeluGrad", 2, 0, twins, erf), 2 * elements},
		"Mask with a sum":                 {own("Mask", 2, 0, masked), 2 * elements},
		"ColumnSum":                       {own("ColumnSum", 1, 0, floats(cube)), 2 * elements},
		"LayerNormalizationGrad and both": {own("LayerNormalizationGrad", 3, 0, normSum), 2 * 2 * 3 * 8},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBuilder(&Graph{})
			b.Output(c.build(b), Float)
			got, err := CountWork(NewModel(b.Graph), sizes)
			if err != nil || got.Flops != c.want || got.Unknown != 0 {
				t.Errorf("%+v (%v), want %d operations", got, err, c.want)
			}
		})
	}
}

// onlyValues is the gradient of attention by its values alone.
func onlyValues(b *Builder) string {
	y := own("AttentionGrad", 3, 2, attendsBack, headAttrs()...)(b)
	n := b.Graph.Nodes[0]
	n.Outputs[0], n.Outputs[1] = "", ""
	return y
}

// What cannot be counted is an error: a size without a number, and a node that lacks what it needs.
func TestNodeFlopsUnknown(t *testing.T) {
	b := NewBuilder(&Graph{})
	gemm := own("Gemm", 1, 0, gemmInputs, gemmAttrs(0, 0)...)
	b.Output(gemm(b), Float)
	if got, err := CountWork(NewModel(b.Graph), map[string]int64{"n": 3}); err == nil {
		t.Errorf("%+v where a symbol has no size", got)
	}
	for _, op := range []string{"Gemm", "Attention", "AttentionGrad", "ColumnSum", "GeluGrad", "Mask", "LayerNormalizationGrad"} {
		n := &Node{Name: "x", Domain: ours, Op: op, Outputs: []string{"", "a", "b"}}
		if got, err := NodeFlops(n, nil); err == nil {
			t.Errorf("%d operations in %s without inputs", got, op)
		}
		if got, err := NodeFlops(&Node{Domain: ours, Op: op}, nil); got != 0 {
			t.Errorf("%d operations (%v) in %s of nothing", got, err, op)
		}
	}
}
