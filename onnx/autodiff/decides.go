package autodiff

import "metalora/onnx"

// decisive lists the inputs whose elements decide the shape of an operator's output. What they say is no quantity that an
// output could be differentiated by: a shape moves in whole steps.
var decisive = map[op]inputs{
	{"", "Reshape"}:         wrt(1),
	{"", "Expand"}:          wrt(1),
	{"", "Tile"}:            wrt(1),
	{"", "ConstantOfShape"}: wrt(0),
	{"", "Range"}:           wrt(0, 1, 2),
	{"", "Resize"}:          wrt(1, 2, 3), // region of interest, scales, sizes
	{"", "Upsample"}:        wrt(1),
	{"", "Pad"}:             wrt(1),
	{"", "Slice"}:           wrt(1, 2, 4),
	{"", "TopK"}:            wrt(1),
	{"", "OneHot"}:          wrt(1),
	{"", "Split"}:           wrt(1),
	{"", "CenterCropPad"}:   wrt(1),
	{"", "MaxUnpool"}:       wrt(2),
	{"", "BlackmanWindow"}:  wrt(0),
	{"", "HannWindow"}:      wrt(0),
	{"", "HammingWindow"}:   wrt(0),
	{"", "AffineGrid"}:      wrt(1),
	{"", "Col2Im"}:          wrt(1, 2),
}

// decider finds the node whose output's shape depends on the elements of v, in whatever way they come there; nil where
// there is none. To take the shape of v is no such way.
func (b *builder) decider(v value) *onnx.Node {
	reached := map[value]bool{v: true}
	for _, n := range b.model.Graph.Nodes {
		o := op{n.Domain, n.Op}
		for i, x := range n.Inputs {
			if x == "" || !reached[x] || o.name == "Shape" || o.name == "Size" || rules[o].ignores.has(i) {
				continue
			}
			if decisive[o].has(i) {
				return n
			}
			for _, y := range n.Outputs {
				reached[y] = true
			}
		}
	}
	return nil
}
