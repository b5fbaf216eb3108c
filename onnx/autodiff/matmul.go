package autodiff

import (
	"slices"

	"metalora/onnx"
)

// product is y = alpha*A*B of matrices with batch dimensions in front, where A is a or its transpose and B is b or its.
type product struct {
	a, b           value
	transA, transB bool
	alpha          float64
}

// y = a*b: da = dy*bᵀ, db = aᵀ*dy.
func matMul(b *builder, n *onnx.Node, dy value, i int) value {
	return product{a: n.Input(0), b: n.Input(1), alpha: 1}.gradient(b, n.Output(0), dy, i)
}

// gradient is the cotangent of a (i = 0) or b (i = 1), of ranks that are known; a's need not be where b is a matrix and a is
// not transposed.
func (p product) gradient(b *builder, y, dy value, i int) value {
	ra, rb := b.rank(p.a), b.rank(p.b)
	switch {
	case i == 0 && ra == 2 && rb == 2:
		return p.left(b, dy)
	case i == 1 && ra == 2 && rb == 2:
		return p.right(b, dy)
	case i == 1 && rb <= 2 && !p.transA:
		return p.weight(b, dy)
	case i == 0 && rb == 2 && !p.transA: // also of a vector a
		return b.times(b.matmul(dy, b.turned(p.b, 2, !p.transB)), p.alpha)
	}
	m, k := p.a, p.b // as matrices
	if rb == 1 {
		k = b.op("Unsqueeze", k, b.vec(1))
		dy = b.op("Unsqueeze", dy, b.vec(-1))
	}
	if ra == 1 {
		m = b.op("Unsqueeze", m, b.vec(0))
		dy = b.op("Unsqueeze", dy, b.vec(-2))
	}
	ra, rb = max(ra, 2), max(rb, 2)
	return p.batched(b, m, k, y, dy, i, [3]int{ra, rb, max(ra, rb)})
}

// batched is the gradient of m*k where the batch dimensions broadcast; ranks are those of m, k and dy.
func (p product) batched(b *builder, m, k, y, dy value, i int, ranks [3]int) value {
	x, g := p.a, ""
	switch {
	case i == 0 && p.transA: // da = B*dyᵀ
		g = b.matmul(b.turned(k, ranks[1], p.transB), b.turned(dy, ranks[2], true))
	case i == 0: // da = dy*Bᵀ
		g = b.matmul(dy, b.turned(k, ranks[1], !p.transB))
	case p.transB: // db = dyᵀ*A
		x, g = p.b, b.matmul(b.turned(dy, ranks[2], true), b.turned(m, ranks[0], p.transA))
	default: // db = Aᵀ*dy
		x, g = p.b, b.matmul(b.turned(m, ranks[0], !p.transA), dy)
	}
	return b.sumToShape(b.times(g, p.alpha), x, productShape(b, x, y, ranks[2]))
}

// productShape is the shape of x before the batch dimensions of the product y are summed: y's batch, x's matrix.
func productShape(b *builder, x, y value, rank int) onnx.Shape {
	sx, sy := b.info[x].Shape, b.info[y].Shape
	if sy == nil {
		return nil
	}
	shape := append(onnx.Shape{}, sy[:rank-2]...)
	if len(sx) == 1 {
		return append(shape, onnx.Dim{Size: 1}, sx[0])
	}
	return append(shape, sx[len(sx)-2:]...)
}

// left is the cotangent of the matrix a, right that of the matrix b.
func (p product) left(b *builder, dy value) value {
	if p.transA {
		return b.gemm(p.b, dy, p.transB, true, p.alpha)
	}
	return b.gemm(dy, p.b, false, !p.transB, p.alpha)
}

func (p product) right(b *builder, dy value) value {
	if p.transB {
		return b.gemm(dy, p.a, true, p.transA, p.alpha)
	}
	return b.gemm(p.a, dy, !p.transA, false, p.alpha)
}

// weight is the cotangent of a matrix or vector b that all rows of a batch share: one product over all rows.
func (p product) weight(b *builder, dy value) value {
	inner, outer := int64(0), b.vec(1)
	if b.rank(p.b) == 2 {
		if p.transB {
			inner = 1
		}
		outer = b.sizeOf(p.b, 1-inner)
	}
	rows := b.op("Reshape", p.a, b.concat(b.vec(-1), b.sizeOf(p.b, inner)))
	drows := b.op("Reshape", dy, b.concat(b.vec(-1), outer))
	db := product{a: rows, b: p.b, transB: p.transB, alpha: p.alpha}.right(b, drows)
	if b.rank(p.b) == 1 {
		return b.reshapeLike(db, p.b)
	}
	return db
}

// y = alpha*A*B + beta*c: da = alpha*dy*Bᵀ, db = alpha*Aᵀ*dy, transposed where A or B is; dc = beta*dy.
func gemm(b *builder, n *onnx.Node, dy value, i int) value {
	p := product{n.Input(0), n.Input(1), n.Int("transA", 0) != 0, n.Int("transB", 0) != 0, float64(n.Float("alpha", 1))}
	switch i {
	case 0:
		return p.left(b, dy)
	case 1:
		return p.right(b, dy)
	}
	return b.times(b.sumTo(dy, n.Input(2), n.Output(0)), float64(n.Float("beta", 1)))
}

// gemm multiplies two matrices.
func (b *builder) gemm(x, z value, transA, transB bool, alpha float64) value {
	var attrs []onnx.Attr
	if transA {
		attrs = append(attrs, onnx.IntAttr("transA", 1))
	}
	if transB {
		attrs = append(attrs, onnx.IntAttr("transB", 1))
	}
	if alpha != 1 {
		attrs = append(attrs, onnx.FloatAttr("alpha", float32(alpha)))
	}
	return b.with("Gemm", []value{x, z}, attrs...)
}

func (b *builder) matmul(x, z value) value { return b.op("MatMul", x, z) }

// turned is v with its last two axes swapped, if so. ONNX Runtime fuses the Transpose into the MatMul that reads it.
func (b *builder) turned(v value, rank int, swap bool) value {
	if !swap {
		return v
	}
	perm := axesUpTo(rank)
	slices.Reverse(perm[rank-2:])
	return b.transpose(v, perm)
}

// axesUpTo is 0, 1, ..., n-1: the permutation that leaves axes where they are.
func axesUpTo(n int) []int64 {
	list := make([]int64, max(0, n))
	for i := range list {
		list[i] = int64(i)
	}
	return list
}

// factorUnknown finds a product whose rule needs the number of dimensions of a factor: of both, unless the second is a matrix
// and the first is not transposed.
func factorUnknown(b *builder, n *onnx.Node) string {
	if b.rank(n.Input(1)) == 2 && n.Int("transA", 0) == 0 && n.Int("transBatchA", 0) == 0 {
		return ""
	}
	return rankUnknown(0, 1)(b, n)
}
