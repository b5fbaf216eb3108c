package kernels

import (
	"encoding/binary"
	"math"

	"metalora/onnx"
)

// columnSum tells whether a value [n] is the sum of the rows of x [m, n] as autodiff writes it: a product of a row of ones
// with x, laid out flat. product is that product's node.
func (l *lowering) columnSum(flat *onnx.Node) (x string, product *onnx.Node) {
	product = l.maker(flat.Input(0), "Gemm")
	if flat.Op != "Reshape" || flat.Domain != "" || product == nil || l.only(product.Output(0)) != flat {
		return "", nil
	}
	shape, known := l.ints(flat.Input(1))
	plain := product.Int("transA", 0) == 0 && product.Int("transB", 0) == 0 && product.Float("alpha", 1) == 1 && product.Input(2) == ""
	if !known || len(shape) != 1 || shape[0] != -1 || !plain || !l.rowOfOnes(product.Input(0)) || !l.float(product.Input(1)) {
		return "", nil
	}
	return product.Input(1), product
}

// rowOfOnes tells whether a value [1, m] is of ones.
func (l *lowering) rowOfOnes(value string) bool {
	n := l.maker(value, "ConstantOfShape")
	shape := l.facts.Values[value].Shape
	if n == nil || len(shape) != 2 || shape[0].Size != 1 {
		return false
	}
	a := n.Attr("value")
	return a != nil && a.T != nil && a.T.Type == onnx.Float && len(a.T.Raw) == 4 &&
		math.Float32frombits(binary.LittleEndian.Uint32(a.T.Raw)) == 1
}

// sumsOf lists the nodes that end in sums of a value's rows, and the nodes on the way that read the value: products with a
// row of ones, the sizes of these rows, and a Reshape to rows where the value has more than two dimensions.
func (l *lowering) sumsOf(x string) (sums, readers []*onnx.Node) {
	for _, r := range l.readers[x] {
		if flat := l.only(r.Output(0)); flat != nil {
			if of, product := l.columnSum(flat); of == x && product == r {
				sums, readers = append(sums, flat), append(readers, r)
			}
		}
		if l.rows(r) {
			more, inner := l.sumsOf(r.Output(0))
			sums = append(sums, more...)
			if l.onlyIn(r.Output(0), inner...) {
				readers = append(readers, r)
			}
		}
	}
	return sums, append(readers, l.rowCounts(x, readers)...)
}

// rows tells whether a node lays a value [..., n] of more dimensions out as [m, n].
func (l *lowering) rows(n *onnx.Node) bool {
	return n.Domain == "" && n.Op == "Reshape" && l.rank(n.Output(0)) == 2 && l.rank(n.Input(0)) > 2 &&
		l.lastOf(n.Output(0)) != "" && l.lastOf(n.Output(0)) == l.lastOf(n.Input(0))
}

// rowCounts lists the Shape nodes of a value whose only use is to say how many ones the products want.
func (l *lowering) rowCounts(x string, products []*onnx.Node) (shapes []*onnx.Node) {
	for _, r := range l.readers[x] {
		next := r
		for _, op := range []string{"Shape", "Gather", "Concat", "ConstantOfShape"} {
			if next == nil || next.Domain != "" || next.Op != op {
				next = nil
				break
			}
			next = l.only(next.Output(0))
		}
		for _, p := range products {
			if next == p {
				shapes = append(shapes, r)
			}
		}
	}
	return shapes
}

// sum replaces a sum of rows, by a further output of the operator of ours that makes the rows, where it has one.
func (l *lowering) sum(n *onnx.Node) {
	x, product := l.columnSum(n)
	if product == nil {
		return
	}
	if m := l.makers[x]; m != nil && l.rows(m) {
		x = m.Input(0)
	}
	if m := l.makers[x]; m != nil && m.Domain == Domain && (m.Op == "GeluGrad" || m.Op == "Mask") && m.Output(0) == x && m.Output(1) == "" {
		l.extend(m, 1, n.Output(0))
		return
	}
	l.replace(n, of(n, "ColumnSum", []string{x}, n.Outputs))
}
