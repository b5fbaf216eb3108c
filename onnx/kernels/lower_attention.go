package kernels

import (
	"slices"

	"metalora/onnx"
)

// attention is a chain softmax(scale · q kᵀ + mask) v over heads, by the values between its nodes.
type attention struct {
	letters  map[string]string // what the patterns below bind
	heads    int64
	scale    float32
	softmax  string
	kept     string     // a mask of dropout, or empty
	factor   float32    // of what it keeps
	drop     *onnx.Node // its product with softmax, or nil
	dropped  string     // what it leaves of softmax
	end      *onnx.Node
	dy       string        // the context's gradient, taken apart to its heads; empty where there is none
	backward [3]*onnx.Node // the last nodes of the gradients by q, k and v, nil where one is not wanted
}

// swapped is the order of the axes [rows, length, heads, width] in which heads are worked on one by one, and back;
// turned is the same with keys last, turnedBack the way back.
var swapped, turned, turnedBack, lastTwo = []int64{0, 2, 1, 3}, []int64{0, 2, 3, 1}, []int64{0, 3, 1, 2}, []int64{0, 1, 3, 2}

// permuted wants a value's axes in another order.
func permuted(perm []int64, p pattern) pattern {
	return func(l *lowering, value string, letters map[string]string) bool {
		n := l.maker(value, "Transpose")
		return n != nil && slices.Equal(n.Ints("perm"), perm) && p(l, n.Input(0), letters)
	}
}

// headed wants a projection, bound to letter, that is taken apart to its heads. Taken apart it is bound to letter4.
func headed(letter string, perm []int64) pattern {
	return permuted(perm, named(letter+"4", node("Reshape", as(letter))))
}

// sum wants the sum over the last dimension, which stays with size 1.
func sum(p pattern) pattern {
	return func(l *lowering, value string, letters map[string]string) bool {
		n := l.maker(value, "ReduceSum")
		return n != nil && n.Int("keepdims", 1) == 1 && l.last(n) && p(l, n.Input(0), letters)
	}
}

// constant binds a letter to a constant of one element.
func constant(letter string) pattern {
	return func(l *lowering, value string, letters map[string]string) bool {
		_, ok := l.scalar(value)
		return ok && as(letter)(l, value, letters)
	}
}

var (
	products = node("MatMul", named("Q", headed("q", swapped)), named("K", headed("k", turned)))
	scores   = node("Add", node("Mul", products, constant("scale")), as("mask"))
	unscaled = node("Add", products, as("mask"))
)

// attention replaces attention and its gradient, both or neither. n is the softmax.
func (l *lowering) attention(n *onnx.Node) {
	axis := n.Int("axis", -1)
	if n.Op != "Softmax" || l.rank(n.Output(0)) != 4 || axis != -1 && axis != 3 || !l.float(n.Output(0)) {
		return
	}
	a := &attention{softmax: n.Output(0), scale: 1}
	ok := false
	if a.letters, ok = l.find(scores, n.Input(0)); ok {
		a.scale, _ = l.scalar(a.letters["scale"])
	} else if a.letters, ok = l.find(unscaled, n.Input(0)); !ok {
		return
	}
	if l.forwardEnd(a) && l.attentionFits(a) && l.backwardEnds(a) {
		l.putAttention(a)
	}
}

// forwardEnd follows the softmax through dropout and the product with the values to the context.
func (l *lowering) forwardEnd(a *attention) bool {
	a.dropped, a.factor = a.softmax, 1
	for _, r := range l.readers[a.softmax] {
		for _, mask := range r.Inputs {
			if r.Domain == "" && r.Op == "Mul" && l.bits(mask) != "" && l.same(l.bits(mask), a.softmax) {
				a.kept, a.drop, a.dropped = l.bits(mask), r, r.Output(0)
			}
		}
	}
	if a.drop != nil {
		l.factored(a)
	}
	for _, r := range l.readers[a.dropped] {
		if r.Domain == "" && r.Op == "MatMul" && r.Input(0) == a.dropped && named("V", headed("v", swapped))(l, r.Input(1), a.letters) {
			a.end = l.joined(r.Output(0), swapped)
			return a.end != nil
		}
	}
	return false
}

// factored follows what dropout leaves through the product with its factor, where that is not elsewhere, and another name.
func (l *lowering) factored(a *attention) {
	if n := l.only(a.dropped); n != nil && n.Domain == "" && n.Op == "Mul" {
		for _, factor := range n.Inputs {
			if f, ok := l.scalar(factor); ok {
				a.factor, a.dropped = f, n.Output(0)
			}
		}
	}
	if n := l.only(a.dropped); n != nil && n.Domain == "" && n.Op == "Identity" {
		a.dropped = n.Output(0)
	}
}

// bits is the mask of booleans that a value is a cast of; gradients go by bytes. It is empty where there is none.
func (l *lowering) bits(value string) string {
	for n := l.maker(value, "Cast"); n != nil; n = l.maker(n.Input(0), "Cast") {
		if l.facts.Values[n.Input(0)].Type == onnx.Bool {
			return n.Input(0)
		}
	}
	return ""
}

// joined is the node that puts heads side by side again, which lie in a value in the order that perm turns back. It is nil
// where there is none or where others read what comes between.
func (l *lowering) joined(value string, perm []int64) *onnx.Node {
	turn := l.only(value)
	if turn == nil || turn.Domain != "" || turn.Op != "Transpose" || !slices.Equal(turn.Ints("perm"), perm) {
		return nil
	}
	if end := l.only(turn.Output(0)); end != nil && end.Domain == "" && end.Op == "Reshape" {
		return end
	}
	return nil
}

// attentionFits tells whether shapes are certainly those of the operator. Rows and keys are told by its mask, so the symbols of
// projections taken apart have to be the mask's.
func (l *lowering) attentionFits(a *attention) bool {
	q, k, m := l.facts.Values[a.letters["q4"]].Shape, l.facts.Values[a.letters["k4"]].Shape, l.facts.Values[a.mask(l)].Shape
	if len(q) != 4 || len(k) != 4 || len(m) != 4 || !l.same(a.letters["k4"], a.letters["v4"]) {
		return false
	}
	rows, queries, heads, width, keys := q[0], q[1], q[2], q[3], k[1]
	fits := equal(rows, k[0]) && equal(heads, k[2]) && equal(width, k[3]) && heads.Size > 0 && width.Size > 0 &&
		equal(rows, m[0]) && m[1].Size == 1 && (m[2].Size == 1 || equal(queries, m[2])) && equal(keys, m[3])
	for _, x := range []string{"q", "k", "v"} {
		s := l.facts.Values[a.letters[x]].Shape
		fits = fits && len(s) > 0 && s[len(s)-1].Size == heads.Size*width.Size && l.float(a.letters[x])
	}
	a.heads = heads.Size
	return fits && l.float(a.mask(l)) && l.same(a.end.Output(0), a.letters["q"]) && l.same(a.letters["k"], a.letters["v"])
}

// equal tells whether dimensions are certainly the same.
func equal(a, b onnx.Dim) bool {
	return a.Size >= 0 && a.Size == b.Size || a.Size < 0 && b.Size < 0 && a.Name != "" && a.Name == b.Name
}

// mask is what is added to scores; where it has been written out for each query, what it was made from.
func (a *attention) mask(l *lowering) string {
	mask := a.letters["mask"]
	if n := l.maker(mask, "Expand"); n != nil {
		from, to := l.facts.Values[n.Input(0)].Shape, l.facts.Values[mask].Shape
		if len(from) == 4 && len(to) == 4 && equal(from[0], to[0]) && equal(from[1], to[1]) && from[2].Size == 1 && equal(from[3], to[3]) {
			return n.Input(0)
		}
	}
	return mask
}

// backwardEnds finds the gradients by q, k and v. It fails where somebody else reads the probabilities, who needs the chain.
func (l *lowering) backwardEnds(a *attention) bool {
	known := []*onnx.Node{a.drop} // readers of probabilities
	for _, r := range l.readers[a.dropped] {
		product := l.turnedProduct(r)
		switch {
		case r.Op == "MatMul" && r.Input(0) == a.dropped:
			known = append(known, r)
		case product != nil && a.ends(2, l.joined(product.Output(0), swapped), product.Input(1)):
			known = append(known, r)
		}
	}
	inside, ok := l.scoreGradient(a)
	known = append(known, inside...)
	return ok && l.onlyIn(a.softmax, known...) && l.onlyIn(a.dropped, known...) && l.backwardFits(a)
}

// ends records the last node of a gradient, which comes from dy. It fails where that is nil or another is known.
func (a *attention) ends(which int, end *onnx.Node, dy string) bool {
	if end == nil || a.backward[which] != nil || a.dy != "" && a.dy != dy {
		return false
	}
	a.backward[which], a.dy = end, dy
	return true
}

// turnedProduct is the product that reads a Transpose of the last two dimensions first.
func (l *lowering) turnedProduct(turn *onnx.Node) *onnx.Node {
	if turn.Domain != "" || turn.Op != "Transpose" || !slices.Equal(turn.Ints("perm"), lastTwo) {
		return nil
	}
	if n := l.only(turn.Output(0)); n != nil && n.Domain == "" && n.Op == "MatMul" && n.Input(0) == turn.Output(0) {
		return n
	}
	return nil
}

// scoreGradient finds the gradients by q and k, if any, and lists the nodes on their way that read the softmax.
func (l *lowering) scoreGradient(a *attention) (inside []*onnx.Node, ok bool) {
	for _, r := range l.readers[a.softmax] {
		letters, ok := l.find(a.slope(), r.Output(0))
		if !ok {
			continue
		}
		d := l.scaled(a, r.Output(0))
		return []*onnx.Node{r, l.makers[letters["gp"]]}, d != "" && l.scoreEnds(a, d, letters["dy"])
	}
	return nil, true
}

// scaled is the product of a value with the scale of scores, empty where it is not the value's only use.
func (l *lowering) scaled(a *attention, value string) string {
	if a.letters["scale"] == "" {
		return value
	}
	times := l.only(value)
	if times == nil || !node("Mul", as("d"), number(float64(a.scale)))(l, times.Output(0), map[string]string{"d": value}) {
		return ""
	}
	return times.Output(0)
}

// slope is the gradient of a softmax p as autodiff writes it: (g - Σgp) p with the gradient g of p, which is a product of that of
// the context with the values, where the mask keeps it.
func (a *attention) slope() pattern {
	is := func(value string) pattern {
		return func(_ *lowering, v string, _ map[string]string) bool { return v == value }
	}
	g := node("MatMul", as("dy"), permuted(lastTwo, is(a.letters["V"])))
	if a.factor != 1 {
		g = node("Mul", g, number(float64(a.factor)))
	}
	if a.kept != "" {
		g = node("Mul", g, func(l *lowering, value string, _ map[string]string) bool { return l.bits(value) == a.kept })
	}
	gp := named("gp", node("Mul", as("g"), is(a.softmax)))
	return node("Mul", node("Sub", named("g", g), sum(gp)), is(a.softmax))
}

// scoreEnds follows the gradient d of the scores to those of q and k. It fails where anybody else reads it.
func (l *lowering) scoreEnds(a *attention, d, dy string) bool {
	for _, r := range l.readers[d] {
		product := r.Domain == "" && r.Op == "MatMul"
		byQ := product && r.Input(0) == d && l.turnOf(r.Input(1)) == a.letters["K"]
		byK := product && r.Input(1) == d && l.turnOf(r.Input(0)) == a.letters["Q"]
		if !(byQ && a.ends(0, l.joined(r.Output(0), swapped), dy) || byK && a.ends(1, l.joined(r.Output(0), turnedBack), dy)) {
			return false
		}
	}
	return !l.outputs[d]
}

// turnOf is the value of which another is the same with its last two dimensions swapped.
func (l *lowering) turnOf(value string) string {
	if n := l.maker(value, "Transpose"); n != nil && slices.Equal(n.Ints("perm"), lastTwo) {
		return n.Input(0)
	}
	return ""
}

// backwardFits tells whether gradients have the shapes of what they are by, and come from one of the context's.
func (l *lowering) backwardFits(a *attention) bool {
	for i, x := range []string{"q", "k", "v"} {
		if end := a.backward[i]; end != nil && !l.same(end.Output(0), a.letters[x]) {
			return false
		}
	}
	if a.dy == "" {
		return true
	}
	ok := headed("dy", swapped)(l, a.dy, a.letters)
	return ok && l.same(a.letters["dy4"], a.letters["q4"]) && l.same(a.letters["dy"], a.end.Output(0))
}

// putAttention puts the operators where the chain ends and where its gradient does.
func (l *lowering) putAttention(a *attention) {
	attrs := []onnx.Attr{onnx.IntAttr("heads", a.heads), onnx.FloatAttr("scale", a.scale), onnx.FloatAttr("factor", a.factor),
		onnx.IntAttr(packedAttr, 0)}
	inputs := []string{a.letters["q"], a.letters["k"], a.letters["v"], a.mask(l)}
	outputs, gradients := []string{a.end.Output(0)}, []string{"", "", ""}
	var at *onnx.Node
	for i, n := range a.backward {
		if n != nil {
			at, gradients[i] = n, n.Output(0)
		}
	}
	saved := ""
	if at != nil {
		saved = l.fresh(a.softmax + "/saved")
		outputs = append(outputs, saved)
	}
	var kept []string
	if a.kept != "" {
		kept = []string{a.kept}
	}
	dy := a.letters["dy"]
	l.replace(a.end, of(a.end, "Attention", slices.Concat(inputs, kept), outputs, attrs...))
	if at != nil {
		l.replace(at, of(at, "AttentionGrad", slices.Concat([]string{dy}, inputs, []string{saved}, kept), trimmed(gradients), attrs...))
	}
}

// fresh is a name that nothing in the graph has: value's own, or with marks behind it.
func (l *lowering) fresh(value string) string {
	for l.inputs[value] || l.makers[value] != nil || l.facts.Values[value].Name != "" {
		value += "_"
	}
	return value
}
