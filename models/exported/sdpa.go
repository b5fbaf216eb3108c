package exported

import (
	"math"
	"slices"

	"metalora/onnx"
)

// sdpa writes torch's scaled_dot_product_attention as metalora's own graphs have attention, which is what operators of package kernels
// stand for. Exporters write
//
//	p = softmax((q·√c)(k·√c)ᵀ + Where(seen, 0, -∞));  y = Where(IsNaN(p), 0, p) v
//
// and this makes y = softmax(q kᵀ·c + Where(seen, 0, lowest)) v of it, with the lowest number in the place of -∞. A query that its mask
// lets see nothing, which the exporter's guard against NaN gives zeros, is of no use to an encoder, and sees all alike here. What else the
// guard would hide, scores that are no numbers, then shows.
func (r *rewriter) sdpa() error {
	facts, err := onnx.Analyse(r.model)
	if err != nil {
		return err
	}
	x, guards, masks := r.index(), map[*onnx.Node]bool{}, map[mask]string{}
	r.replace(func(b *onnx.Builder, n *onnx.Node) {
		s := scaledDot{b, x, facts, guards, masks}
		written := guards[n]
		if n.Domain == "" {
			switch n.Op {
			case "Reshape":
				written = s.turned(n)
			case "MatMul":
				written = s.scaled(n)
			case "Softmax":
				written = s.unguarded(n)
			}
		}
		if !written {
			b.Graph.Nodes = append(b.Graph.Nodes, n)
		}
	})
	return r.prune()
}

// scaledDot writes the plain form of one node.
type scaledDot struct {
	*onnx.Builder
	x      *index
	facts  *onnx.Facts
	guards map[*onnx.Node]bool // against NaN, which the softmax before them needs no more
	masks  map[mask]string     // what several layers add to their scores
}

// mask has one number where a condition holds and another elsewhere.
type mask struct {
	condition string
	yes, no   float32
}

func (s scaledDot) shape(v string) onnx.Shape { return s.facts.Values[v].Shape }

// turned writes one Transpose where the last two axes are swapped by way of three dimensions, as torch's dynamo exporter does with keys:
// [a, b, c, d], [a·b, c, d], [a·b, d, c], [a, b, d, c].
func (s scaledDot) turned(n *onnx.Node) bool {
	turn := s.x.maker(n.Input(0), "Transpose")
	if turn == nil || !slices.Equal(turn.Ints("perm"), []int64{0, 2, 1}) {
		return false
	}
	flat := s.x.maker(turn.Input(0), "Reshape")
	if flat == nil {
		return false
	}
	v := flat.Input(0)
	k, three := s.shape(v), s.shape(flat.Output(0))
	if len(k) != 4 || len(three) != 3 || !alike(three[1:], k[2:]) || !alike(s.shape(n.Output(0)), onnx.Shape{k[0], k[1], k[3], k[2]}) {
		return false
	}
	perm := []int64{0, 1, 3, 2}
	if before := s.x.maker(v, "Transpose"); before != nil && len(before.Ints("perm")) == 4 {
		v = before.Input(0)
		for i, axis := range perm {
			perm[i] = before.Ints("perm")[axis]
		}
	}
	s.Named(n.Output(0), "Transpose", []string{v}, onnx.IntsAttr("perm", perm...))
	return true
}

// alike tells whether shapes are certainly the same.
func alike(a, b onnx.Shape) bool {
	return slices.EqualFunc(a, b, func(p, q onnx.Dim) bool { return p == q && (p.Size >= 0 || p.Name != "") })
}

// scaled multiplies scores where queries and keys are multiplied, each by a number.
func (s scaledDot) scaled(n *onnx.Node) bool {
	sum := s.x.reader(n.Output(0), "Add")
	if sum == nil || s.x.reader(sum.Output(0), "Softmax") == nil || len(s.shape(n.Input(0))) != 4 || len(s.shape(n.Input(1))) != 4 {
		return false
	}
	q, byQ := s.factor(n.Input(0))
	k, byK := s.factor(n.Input(1))
	scale := float32(byQ * byK)
	if q == n.Input(0) && k == n.Input(1) || !(scale > 0) || math.IsInf(float64(scale), 0) {
		return false
	}
	s.Named(n.Output(0), "Mul", []string{s.Op("MatMul", []string{q, k}), s.Scalar(scale)})
	return true
}

// factor takes a product of four dimensions with a number apart. Where v is none, it is v itself and 1.
func (s scaledDot) factor(v string) (of string, number float64) {
	if n := s.x.maker(v, "Mul"); n != nil && s.facts.Values[v].Type == onnx.Float {
		for i := range 2 {
			if number, ok := s.number(n.Input(1-i), 8); ok && len(s.shape(n.Input(i))) == 4 {
				return n.Input(i), number
			}
		}
	}
	return v, 1
}

// number is a constant of one element that is no weight, or what is computed of such and of sizes that are always the same, in a few
// steps: some exporters leave √(1/√width) to the engine.
func (s scaledDot) number(v string, steps int) (float64, bool) {
	if list, ok := s.facts.Ints(v); ok && len(list) == 1 {
		return float64(list[0]), true
	}
	if x, ok := s.x.scalar(v); ok {
		return float64(x), !named(v)
	}
	n := s.x.makers[v]
	if n == nil || n.Domain != "" || steps == 0 || s.facts.Values[v].Type != onnx.Float {
		return 0, false
	}
	a, ok := s.number(n.Input(0), steps-1)
	switch n.Op {
	case "Cast", "CastLike":
		return a, ok
	case "Sqrt":
		return math.Sqrt(a), ok
	case "Div":
		b, known := s.number(n.Input(1), steps-1)
		return a / b, ok && known && s.facts.Values[n.Input(0)].Type == onnx.Float
	}
	return 0, false
}

// unguarded writes a softmax without the guard against NaN that follows it: with a mask that never says -∞, it needs none.
func (s scaledDot) unguarded(n *onnx.Node) bool {
	guard, sum := s.guard(n.Output(0)), s.x.maker(n.Input(0), "Add")
	if guard == nil || sum == nil {
		return false
	}
	for i := range 2 {
		v := sum.Input(i)
		added, ok := s.floored(v)
		if !ok {
			continue
		}
		c := *n
		c.Inputs = []string{n.Input(0)}
		if added != v {
			c.Inputs[0] = s.Op("Add", []string{sum.Input(1 - i), added})
		}
		c.Outputs = slices.Clone(guard.Outputs)
		s.Graph.Nodes, s.guards[guard] = append(s.Graph.Nodes, &c), true
		return true
	}
	return false
}

// guard is the node that puts zeros in the place of NaN, and alone reads p of four dimensions. It is nil where there is none.
func (s scaledDot) guard(p string) *onnx.Node {
	readers := s.x.readers[p]
	if len(readers) != 2 || s.x.outputs[p] {
		return nil
	}
	for _, test := range readers {
		guard := s.x.reader(test.Output(0), "Where")
		if test.Op != "IsNaN" || test.Domain != "" || guard == nil || guard.Input(2) != p {
			continue
		}
		if zero, ok := s.x.scalar(guard.Input(1)); ok && zero == 0 && len(s.shape(guard.Output(0))) == 4 {
			return guard
		}
	}
	return nil
}

// floored is a mask of two numbers with the lowest number where v says -∞, and v itself where it never does.
func (s scaledDot) floored(v string) (string, bool) {
	n := s.x.maker(v, "Where")
	if n == nil {
		return "", false
	}
	var numbers [2]float32
	infinite := false
	for i := range numbers {
		x, ok := s.x.scalar(n.Input(1 + i))
		switch {
		case !ok || math.IsNaN(float64(x)) || math.IsInf(float64(x), 1) || named(n.Input(1+i)):
			return "", false
		case math.IsInf(float64(x), -1):
			x, infinite = -math.MaxFloat32, true
		}
		numbers[i] = x
	}
	if !infinite {
		return v, true
	}
	m := mask{n.Input(0), numbers[0], numbers[1]}
	if s.masks[m] == "" {
		s.masks[m] = s.Op("Where", []string{m.condition, s.Scalar(m.yes), s.Scalar(m.no)})
	}
	return s.masks[m], true
}
