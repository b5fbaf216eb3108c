package autodiff

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"metalora/onnx"
)

var einsumDraws = map[op]generator{
	{"", "Einsum"}: since(12, drawOneOf(drawEinsum, drawKnownEinsum)),
	{"", "Det"}:    always(drawDet.inFloat()),
}

// drawEinsum draws one to three operands of up to three labels and a result of some of these, in any order.
func drawEinsum(r *rand.Rand, _ int64) testCase {
	sizes := map[byte]int{}
	for _, label := range []byte("ijkl") {
		sizes[label] = anySize(r)
	}
	var terms []string
	var shapes [][]int
	for range 1 + r.IntN(3) {
		term, shape := "", dims()
		for _, p := range r.Perm(4)[:1+r.IntN(3)] {
			term += string("ijkl"[p])
			shape = append(shape, sizes["ijkl"[p]])
		}
		terms, shapes = append(terms, term), append(shapes, shape)
	}
	labels := []byte(strings.Join(terms, ""))
	slices.Sort(labels)
	labels = slices.Compact(labels)
	r.Shuffle(len(labels), func(i, j int) { labels[i], labels[j] = labels[j], labels[i] })
	result := string(labels[:r.IntN(len(labels)+1)])
	return einsums(strings.Join(terms, ",")+"->"+result, shapes...)
}

// drawKnownEinsum draws an equation as it is found in models, or in a form of its own: without a result, with ellipses
// that broadcast, with diagonals.
func drawKnownEinsum(r *rand.Rand, _ int64) testCase {
	a, c, d := anySize(r), anySize(r), anySize(r)
	return oneOf(r, []testCase{
		einsums("ij,jk", dims(a, c), dims(c, d)), einsums("ba", dims(a, c)), einsums("bhqd,bhkd->bhqk", dims(2, 1, a, c), dims(2, 1, d, c)),
		einsums("bhqk,bkhd->bqhd", dims(1, 2, a, c), dims(1, c, 2, d)), einsums("...ij,...jk->...ik", dims(2, a, c), dims(1, c, d)),
		einsums("...i,...i", dims(2, 3, c), dims(2, 1, c)), einsums("ii->i", dims(3, 3)), einsums("...ii->...i", dims(2, 3, 3)),
		einsums("ii", dims(3, 3)), einsums("...->...", dims(a, c)), einsums("i,j->ij", dims(a), dims(c)), einsums(" i , i -> ", dims(a), dims(a)),
	})
}

func einsums(equation string, shapes ...[]int) testCase {
	return node("Einsum", []onnx.Attr{onnx.StringAttr("equation", equation)}, of(anything, shapes...)...)
}

// drawDet draws matrices that have an inverse: twice the identity matrix with something added.
var drawDet draw = func(r *rand.Rand, _ int64) testCase {
	n := 1 + r.IntN(3)
	shape := append(anyShape(r, 0, 2), n, n)
	mostlyDiagonal := func(r *rand.Rand, i int) float64 {
		x := 0.5 * (r.Float64() - 0.5)
		if i%(n*n)%(n+1) == 0 {
			x += 2
		}
		return x
	}
	c := node("Det", nil, input{shape, mostlyDiagonal})
	c.name = fmt.Sprint("matrices ", shape)
	return c
}
