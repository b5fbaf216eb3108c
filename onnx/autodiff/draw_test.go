package autodiff

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"metalora/onnx"
)

// drawn is how many random cases every rule is held against.
const drawn = 20

// draw makes a random case of one operator: shapes, attributes, optional inputs. The graph is written for the operator set
// opset.
type draw func(r *rand.Rand, opset int64) testCase

// generator is what draws the cases of one operator, and the first operator set that has it.
type generator struct {
	draw  draw
	since int64
}

func always(d draw) generator             { return generator{d, oldestOpset} }
func since(opset int64, d draw) generator { return generator{d, opset} }

// The operator sets that cases are drawn for: from the oldest that is differentiated to the newest that the runtime knows
// as released.
const oldestOpset, newestOpset = minOpset, 26

// generators has the draw of every rule.
var generators = merge(elementwiseDraws, matMulDraws, shapeDraws, reduceDraws, normaliseDraws, lossDraws, einsumDraws, sequenceDraws, indexDraws, microsoftDraws,
	convolutionDraws, poolDraws, attentionDraws, fusedDraws, resizeDraws, deformDraws, roiDraws, groupedDraws)

// nth is the same case each time.
func (g generator) nth(o op, i uint64) testCase {
	h := fnv.New64()
	h.Write([]byte(o.String()))
	r := rand.New(rand.NewPCG(h.Sum64(), i))
	opset := g.since + r.Int64N(newestOpset-g.since+1)
	c := g.draw(r, opset)
	if c.opset == 0 {
		c.opset = opset
	}
	c.name = fmt.Sprintf("%d: %s opset %d", i, c.name, c.opset)
	return c
}

// Every rule agrees with finite differences on cases drawn at random: with known shapes, in double where the runtime
// computes in it, and in one of the other forms.
func TestDrawnCases(t *testing.T) {
	for _, o := range sorted(generators) {
		t.Run(o.String(), func(t *testing.T) {
			for i := range uint64(drawn) {
				c := generators[o].nth(o, i)
				first := forms[1]
				if c.single {
					first = forms[0]
				}
				for _, f := range []form{first, []form{forms[2], forms[3], forms[0]}[i%3]} {
					if c.sized && f.name == "symbolic" {
						continue
					}
					t.Run(c.name+"/"+f.name, func(t *testing.T) { c.check(t, f) })
				}
			}
		})
	}
}

// values fills an input.
type values = func(r *rand.Rand, i int) float64

// inFloat says that the runtime computes an operator in float only.
func (d draw) inFloat() draw {
	return func(r *rand.Rand, opset int64) testCase {
		c := d(r, opset)
		c.single = true
		return c
	}
}

// anyShape is a shape of at least least and at most most dimensions, of which one in three has size 1.
func anyShape(r *rand.Rand, least, most int) []int {
	shape := make([]int, least+r.IntN(most-least+1))
	for i := range shape {
		shape[i] = anySize(r)
	}
	return shape
}

func anySize(r *rand.Rand) int { return []int{1, 1, 2, 2, 3, 5}[r.IntN(6)] }

// broadcastTogether is n shapes that broadcast against each other: parts of one shape, some of their dimensions 1.
func broadcastTogether(r *rand.Rand, n int) [][]int {
	whole := anyShape(r, 0, 3)
	shapes := make([][]int, n)
	for i := range shapes {
		shapes[i] = slices.Clone(whole[r.IntN(len(whole)+1):])
		if r.IntN(3) == 0 {
			shapes[i] = slices.Clone(whole)
		}
		for j := range shapes[i] {
			if r.IntN(4) == 0 {
				shapes[i][j] = 1
			}
		}
	}
	return shapes
}

// drawUnary draws cases of an operator of one input, each with the attributes that one of the lists gives.
func drawUnary(name string, v values, attrs ...[]onnx.Attr) draw {
	return func(r *rand.Rand, _ int64) testCase {
		return node(name, oneOf(r, append(attrs, nil)), input{anyShape(r, 0, 3), v})
	}
}

// drawBroadcast draws cases of an operator whose inputs broadcast against each other.
func drawBroadcast(domain, name string, vs ...values) draw {
	return func(r *rand.Rand, _ int64) testCase {
		in := make([]input, len(vs))
		for i, shape := range broadcastTogether(r, len(vs)) {
			in[i] = input{shape, vs[i]}
		}
		return nodeOf(domain, name, nil, in...)
	}
}

// oneOf chooses an element; of none it is the zero value.
func oneOf[T any](r *rand.Rand, xs []T) (x T) {
	if len(xs) > 0 {
		x = xs[r.IntN(len(xs))]
	}
	return x
}

// drawOneOf draws from one of several kinds of case.
func drawOneOf(ds ...draw) draw {
	return func(r *rand.Rand, opset int64) testCase { return oneOf(r, ds)(r, opset) }
}

// pick chooses k of n places, in rising order.
func pick(r *rand.Rand, n, k int) []int64 {
	chosen := []int64{}
	for _, i := range r.Perm(n)[:k] {
		chosen = append(chosen, int64(i))
	}
	slices.Sort(chosen)
	return chosen
}

// signed writes some of the axes of a tensor of a rank as counted from the end.
func signed(r *rand.Rand, axes []int64, rank int) []int64 {
	axes = slices.Clone(axes)
	for i := range axes {
		if r.IntN(2) == 0 {
			axes[i] -= int64(rank)
		}
	}
	return axes
}

// anyAxis is one axis of a tensor, counted from either end.
func anyAxis(r *rand.Rand, rank int) int64 { return int64(r.IntN(2*rank) - rank) }

// within is an axis counted from the first.
func within(axis int64, rank int) int { return (int(axis) + rank) % rank }
